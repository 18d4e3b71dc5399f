// Usage reports how much is in a directory: an object for each file above a limit, and one for the whole.
//
//	usage [-above BYTES] DIRECTORY
package main

import (
	"flag"
	"io/fs"
	"log/slog"
	"os"
)

func main() {
	above := flag.Int64("above", 0, "report files of more than so many `bytes`")
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}

	log := slog.New(slog.NewJSONHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: withoutTime}))
	if err := report(log, os.DirFS(flag.Arg(0)), *above); err != nil {
		slog.Error("the directory can't be read", "error", err)
		os.Exit(1)
	}
}

func report(log *slog.Logger, directory fs.FS, above int64) error {
	var files, bytes int64
	err := fs.WalkDir(directory, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		files++
		bytes += info.Size()
		if info.Size() > above {
			log.Warn("large file", "path", path, "bytes", info.Size())
		}
		return nil
	})
	if err == nil {
		log.Info("usage", "files", files, "bytes", bytes)
	}
	return err
}

// withoutTime leaves the time to Fluent Bit: a record has the time at which its line was written.
func withoutTime(groups []string, attr slog.Attr) slog.Attr {
	if len(groups) == 0 && attr.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return attr
}
