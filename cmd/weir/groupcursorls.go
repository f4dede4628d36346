package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
)

// listCursors shows the cursors of a stream, or of one partition.
func (a *app) listCursors(cmd *cobra.Command, of string) error {
	// Any name will do here: it is read for the partition.
	named, err := cursorNamed(of, "any")
	if err != nil {
		return usagef(cmd, "%v", err)
	}
	q := &wire.CursorListRequest{Stream: named.Stream}
	if strings.Contains(of, ":") {
		q.Partition = &named.Partition
	}
	list := []wire.CursorPosition{}
	for {
		var page wire.CursorListResponse
		if err := a.askWeir(wire.CursorPrefix+string(wire.CursorList), q, &page); err != nil {
			return err
		}
		if page.Error != nil {
			return fmt.Errorf("cursors of %s: %w", of, groupRefusal{page.Error})
		}
		list = append(list, page.Cursors...)
		if q.Offset = page.Offset + page.Limit; q.Offset >= page.Total {
			return a.showCursors(q.Stream, list)
		}
	}
}

func (a *app) showCursors(stream string, list []wire.CursorPosition) error {
	switch {
	case a.asJSON:
		return a.printJSON(list)
	case len(list) == 0:
		_, err := fmt.Fprintln(a.out, "No cursors.")
		return err
	}
	t := newTable("PARTITION", "CURSOR", ">OFFSET")
	for _, c := range list {
		t.add(fmt.Sprintf("%s:%d", stream, c.Partition), c.Cursor, cursorWhere(&c.Offset))
	}
	return t.print(a.out, a.bold)
}
