package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// table is rows of cells under headings, printed in aligned columns. A heading
// that starts with '>' has its column aligned to the right.
type table struct {
	headings []string
	rows     [][]string
	sum      []string // the last row, marked; nil: none
}

func newTable(headings ...string) *table { return &table{headings: headings} }

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// total adds a last row that sums the others up.
func (t *table) total(cells ...string) { t.sum = cells }

// print writes the table; bold marks the headings and the total.
func (t *table) print(w io.Writer, bold func(string) string) error {
	heads := make([]string, len(t.headings))
	right := make([]bool, len(t.headings))
	widths := make([]int, len(t.headings))
	for i, h := range t.headings {
		heads[i] = strings.TrimPrefix(h, ">")
		right[i] = heads[i] != h
		widths[i] = utf8.RuneCountInString(heads[i])
	}
	for _, row := range append(t.rows[:len(t.rows):len(t.rows)], t.sum) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	out := bufio.NewWriter(w)
	fmt.Fprintln(out, bold(alignRow(heads, widths, right)))
	for _, row := range t.rows {
		fmt.Fprintln(out, alignRow(row, widths, right))
	}
	if t.sum != nil {
		fmt.Fprintln(out, bold(alignRow(t.sum, widths, right)))
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}

func alignRow(cells []string, widths []int, right []bool) string {
	var b strings.Builder
	for i, cell := range cells {
		pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
		if i > 0 {
			b.WriteString("  ")
		}
		if right[i] {
			b.WriteString(pad + cell)
		} else {
			b.WriteString(cell + pad)
		}
	}
	return strings.TrimRight(b.String(), " ")
}

// sheet is facts under headings: one "name: value" a line, values aligned.
type sheet struct {
	lines []sheetLine
}

type sheetLine struct{ name, value string } // an empty value is a heading

func (s *sheet) heading(text string) { s.lines = append(s.lines, sheetLine{name: text}) }

// add appends a fact; one without a value is left out.
func (s *sheet) add(name, value string) {
	if value != "" {
		s.lines = append(s.lines, sheetLine{name, value})
	}
}

func (s *sheet) print(w io.Writer, bold func(string) string) error {
	width := 0
	for _, l := range s.lines {
		if l.value != "" {
			width = max(width, utf8.RuneCountInString(l.name))
		}
	}
	out := bufio.NewWriter(w)
	for i, l := range s.lines {
		switch {
		case l.value != "":
			fmt.Fprintf(out, "  %s%s  %s\n", l.name, strings.Repeat(" ", width-utf8.RuneCountInString(l.name)), l.value)
		case i == 0:
			fmt.Fprintln(out, bold(l.name))
		default:
			fmt.Fprintf(out, "\n%s\n", bold(l.name))
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write facts: %w", err)
	}
	return nil
}
