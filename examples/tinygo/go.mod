module inventory

go 1.21
