package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/weirmq/weir/internal/check"
	"github.com/weirmq/weir/internal/vfs"
)

// exitUnchecked is check's status where it could not look at everything.
const exitUnchecked = 2

const checkLong = `Reads every byte that counts in the data directory DIR of a server that does not
run, and verifies it: journal, catalog, and for each stream its manifest, segments
and subject index. What is damaged is listed by file, offset and length, with the
stream and the sequences that it costs.

Nothing is changed: DIR is not even opened for writing. A server that runs on it
looks itself, in the background.

Exit status: 0 nothing is damaged but what a repair has quarantined, 1 damage was
found, 2 DIR or a part of it could not be checked.`

func newCheck(a *app) *cobra.Command {
	var keyFile string
	cmd := &cobra.Command{
		Use:     "check DIR",
		GroupID: groupServer,
		Short:   "Verify the data directory of a stopped server",
		Long:    checkLong,
		Example: "  weir check /var/lib/weir\n  weir check weir-data --json",
		Args:    arguments(1, 1),
	}
	bindKeyFile(cmd, &keyFile)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		r, err := a.look(cmd.Context(), args[0], keyFile)
		if err != nil {
			return &statusError{exitUnchecked, err}
		}
		if err := a.printReport(r); err != nil {
			return err
		}
		switch {
		case len(r.Unchecked) > 0:
			return &statusError{exitUnchecked, nil}
		case r.Open() > 0:
			return &statusError{exitFailure, nil}
		}
		return nil
	}
	return cmd
}

// look checks a directory and shows how far it is.
func (a *app) look(ctx context.Context, dir, keyFile string) (*check.Report, error) {
	o, done, err := a.checkOptions(dir, keyFile)
	if err != nil {
		return nil, err
	}
	defer done()
	return check.Run(ctx, o)
}

func bindKeyFile(cmd *cobra.Command, name *string) {
	cmd.Flags().StringVar(name, "key-file", "", "`file` with the key of an encrypted directory, as jetstream { key_file }")
}

// checkOptions are for a directory; done takes the progress away.
func (a *app) checkOptions(dir, keyFile string) (o check.Options, done func(), err error) {
	p := a.newProgress(false)
	o = check.Options{FS: vfs.OS{}, Dir: filepath.ToSlash(dir), Progress: p.showPart}
	if keyFile != "" {
		b, err := os.ReadFile(keyFile)
		if err != nil {
			return o, nil, fmt.Errorf("read the key: %w", err)
		}
		o.Key = strings.TrimRight(string(b), "\r\n")
	}
	return o, p.clear, nil
}

// showPart shows which part of a known number of bytes is done. It is told of
// every read.
func (p *progress) showPart(done, total int64) {
	now := time.Now()
	if p.out == nil || now.Before(p.next) {
		return
	}
	p.next, p.shown = now.Add(100*time.Millisecond), true
	fmt.Fprintf(p.out, "\r%s%s of %s, %d %%\x1b[K", p.what, humanBytes(uint64(done)), humanBytes(uint64(total)), 100*done/max(total, 1))
}

// printReport writes what was found.
func (a *app) printReport(r *check.Report) error {
	if a.asJSON {
		return a.printJSON(r)
	}
	var w strings.Builder
	file := ""
	for i := range r.Damage {
		d := &r.Damage[i]
		if d.File != file {
			file = d.File
			fmt.Fprintf(&w, "%s\n", a.bold(file))
		}
		fmt.Fprintf(&w, "  %s\n", describe(d))
	}
	for _, s := range r.Unchecked {
		fmt.Fprintf(&w, "not checked: %s\n", s)
	}
	for _, s := range r.Notes {
		fmt.Fprintf(&w, "note: %s\n", s)
	}
	fmt.Fprintf(&w, "%s\n", verdict(r))
	_, err := io.WriteString(a.out, w.String())
	return err
}

// describe says what a place of a file costs, on one line.
func describe(d *check.Damage) string {
	s := fmt.Sprintf("offset %d", d.Offset)
	if d.Length > 0 {
		s += fmt.Sprintf(", %d bytes", d.Length)
	}
	if where := d.Where(); where != "" {
		s += ": " + where
	}
	switch d.Cost {
	case check.CostRecords:
		s += ": " + d.Sequences()
	case check.CostStream:
		s += ": the stream cannot be opened"
	case check.CostServer:
		s += ": the server does not start"
	case check.CostNothing:
		s += ": costs nothing"
	}
	s += ": " + d.Detail
	if d.Quarantined {
		s += " (quarantined)"
	}
	return s
}

// verdict is the last line of a report.
func verdict(r *check.Report) string {
	s := fmt.Sprintf("%s, %s, %s read: ", plural(uint64(r.Files), "file", "files"), plural(uint64(r.Streams), "stream", "streams"), humanBytes(uint64(r.Bytes)))
	locked := len(r.Damage) - r.Open()
	switch {
	case r.Open() > 0:
		s += plural(uint64(r.Open()), "damaged range", "damaged ranges")
	case len(r.Unchecked) > 0:
		s += "not everything could be checked"
	case locked == 0:
		return s + "no damage"
	default:
		s += "no new damage"
	}
	if locked > 0 {
		s += fmt.Sprintf(", %d quarantined", locked)
	}
	return s
}
