module usage

go 1.21
