package main

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// newFile is a file that is being written, or standard output.
type newFile struct {
	io.Writer
	file            *os.File
	temporary, name string // empty: standard output
}

// createFile opens what is to be written, under a name of its own until it is whole;
// "-" is standard output.
func (a *app) createFile(name string, force bool, mode os.FileMode) (*newFile, error) {
	if name == "-" {
		return &newFile{Writer: a.out}, nil
	}
	if _, err := os.Lstat(name); err == nil && !force {
		return nil, fmt.Errorf("%s exists: --force replaces it", name)
	}
	temporary := name + ".part"
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", name, err)
	}
	return &newFile{Writer: f, file: f, temporary: temporary, name: name}, nil
}

// keep makes the file durable and gives it its name.
func (n *newFile) keep() error {
	if n.file == nil {
		return nil
	}
	err := errors.Join(n.file.Sync(), n.file.Close())
	if err == nil {
		err = os.Rename(n.temporary, n.name)
	}
	if err != nil {
		return fmt.Errorf("finish %s: %w", n.name, err)
	}
	return nil
}

// drop removes what was written.
func (n *newFile) drop() error {
	if n.file == nil {
		return nil
	}
	return errors.Join(n.file.Close(), os.Remove(n.temporary))
}
