package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// ackFile records acknowledged messages: number TAB sequence TAB subject, a line each.
type ackFile struct {
	file *os.File
	out  *bufio.Writer
	have map[uint64]bool // numbers that an earlier run wrote
}

// openAckFile opens name; "" gives a file that keeps nothing. An existing one
// is only taken with resume, so that no record of a run is lost by mistake.
func openAckFile(name string, resume bool) (*ackFile, error) {
	if name == "" {
		return &ackFile{}, nil
	}
	a := &ackFile{have: map[uint64]bool{}}
	flag := os.O_CREATE | os.O_WRONLY | os.O_EXCL
	if resume {
		if err := a.load(name); err != nil {
			return nil, err
		}
		flag = os.O_CREATE | os.O_WRONLY | os.O_APPEND
	}
	f, err := os.OpenFile(name, flag, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%s exists: continue that run with --resume, or remove the file", name)
	} else if err != nil {
		return nil, fmt.Errorf("open ack file: %w", err)
	}
	a.file, a.out = f, bufio.NewWriter(f)
	return a, nil
}

// load reads what an earlier run wrote and cuts off a last line that it did not finish.
func (a *ackFile) load(name string) error {
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return fmt.Errorf("read ack file: %w", err)
	}
	whole := strings.LastIndexByte(string(b), '\n') + 1
	for line := range strings.Lines(string(b[:whole])) {
		number, _, _ := strings.Cut(line, "\t")
		n, err := strconv.ParseUint(number, 10, 64)
		if err != nil {
			return fmt.Errorf("%s is no ack file: its line %q starts with no number", name, strings.TrimSpace(line))
		}
		a.have[n] = true
	}
	if whole < len(b) {
		if err := os.Truncate(name, int64(whole)); err != nil {
			return fmt.Errorf("cut unfinished line of ack file: %w", err)
		}
	}
	return nil
}

func (a *ackFile) add(number, sequence uint64, subject string) error {
	if a.out == nil {
		return nil
	}
	if _, err := fmt.Fprintf(a.out, "%d\t%d\t%s\n", number, sequence, subject); err != nil {
		return fmt.Errorf("write ack file: %w", err)
	}
	return nil
}

func (a *ackFile) close() error {
	if a.out == nil {
		return nil
	}
	if err := errors.Join(a.out.Flush(), a.file.Close()); err != nil {
		return fmt.Errorf("write ack file: %w", err)
	}
	return nil
}
