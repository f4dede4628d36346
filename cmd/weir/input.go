package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// longestLine bounds a line of standard input: no server takes a message larger than this.
const longestLine = 64 << 20

// source gives the messages to publish one by one: key and body, io.EOF after the last.
type source interface {
	next() (key, body string, err error)
}

// repeat gives one body n times.
type repeat struct {
	body string
	left uint64
}

func (r *repeat) next() (string, string, error) {
	if r.left == 0 {
		return "", "", io.EOF
	}
	r.left--
	return "", r.body, nil
}

// lines gives each line of a stream. With a separator, what stands before the
// line's first one is the key and what stands behind it the body.
type lines struct {
	in        *bufio.Scanner
	separator string
	line      uint64
	max       uint64 // 0: all of them
}

func newLines(in io.Reader, separator string, most uint64) *lines {
	s := bufio.NewScanner(in)
	s.Buffer(make([]byte, 64<<10), longestLine)
	s.Split(cutLines)
	return &lines{in: s, separator: separator, max: most}
}

// cutLines splits at LF only, so that a body that ends in CR keeps it.
func cutLines(data []byte, atEOF bool) (int, []byte, error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

func (l *lines) next() (string, string, error) {
	if l.max > 0 && l.line == l.max {
		return "", "", io.EOF
	}
	if !l.in.Scan() {
		if err := l.in.Err(); errors.Is(err, bufio.ErrTooLong) {
			return "", "", fmt.Errorf("line %d is longer than %s", l.line+1, humanBytes(longestLine))
		} else if err != nil {
			return "", "", fmt.Errorf("read line %d: %w", l.line+1, err)
		}
		return "", "", io.EOF
	}
	l.line++
	body := l.in.Text()
	if l.separator == "" {
		return "", body, nil
	}
	key, body, found := strings.Cut(body, l.separator)
	if !found {
		return "", "", fmt.Errorf("line %d has no %q to split at", l.line, l.separator)
	}
	return key, body, nil
}

// separator reads the value of --split: a tab may be spelled out.
func separator(s string) string {
	switch strings.ToLower(s) {
	case "tab", `\t`:
		return "\t"
	}
	return s
}

// readAll reads a whole message from standard input, for the body "-".
func readAll(in io.Reader) (string, error) {
	b, err := io.ReadAll(io.LimitReader(in, longestLine+1))
	if err != nil {
		return "", fmt.Errorf("read standard input: %w", err)
	}
	if len(b) > longestLine {
		return "", fmt.Errorf("standard input is longer than %s", humanBytes(longestLine))
	}
	return string(b), nil
}
