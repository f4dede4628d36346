package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
)

func newGroupCursor(a *app) *cobra.Command {
	var to string
	var force bool
	cmd := &cobra.Command{
		Use:   "cursor STREAM[:PARTITION] [CURSOR]",
		Short: "Show cursors of Liftbridge's clients by their names, or move one",
		Long: `Shows where a cursor is that Liftbridge's clients have set under a name of their own, or
with --to moves it. It is the offset of the last message that its owner is done with,
from 0. Without CURSOR it lists all of the stream, or of the partition. The stream is
named as Liftbridge knows it. --to asks first; --force does not.
Cursors of groups are shown by "weir group info", and moved by "weir group reset".`,
		Example: `  weir group cursor orders
  weir group cursor orders billing
  weir group cursor orders:2 billing --to 1040 --force
  weir group cursor orders:2 billing --to first`,
		Args: arguments(1, 2),
	}
	cmd.Flags().StringVar(&to, "to", "", "move it: first, or the offset of the last message that is done with")
	cmd.Flags().BoolVarP(&force, "force", "f", false, "do not ask")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			if cmd.Flags().Changed("to") {
				return usagef(cmd, "--to needs a CURSOR")
			}
			return a.listCursors(cmd, args[0])
		}
		q, err := cursorNamed(args[0], args[1])
		if err != nil {
			return usagef(cmd, "%v", err)
		}
		kind := wire.CursorGet
		if cmd.Flags().Changed("to") {
			if q.Offset, err = cursorTo(to); err != nil {
				return usagef(cmd, "--to: %v", err)
			}
			if err := a.confirm(cmd, force, fmt.Sprintf("Move cursor %s of %s to %s", args[1], args[0], to)); err != nil {
				return err
			}
			kind = wire.CursorSet
		}
		var got wire.CursorResponse
		if err := a.askWeir(wire.CursorPrefix+string(kind), q, &got); err != nil {
			return err
		}
		if got.Error != nil {
			return fmt.Errorf("cursor %s of %s: %w", args[1], args[0], groupRefusal{got.Error})
		}
		return a.showCursor(args[0], args[1], &got)
	}
	return cmd
}

// cursorNamed reads of which partition a cursor is.
func cursorNamed(partition, cursor string) (*wire.CursorRequest, error) {
	q := &wire.CursorRequest{Stream: partition, Cursor: cursor}
	if i := strings.LastIndexByte(partition, ':'); i >= 0 {
		n, err := strconv.ParseInt(partition[i+1:], 10, 32)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("%q is no number of a partition", partition[i+1:])
		}
		q.Stream, q.Partition = partition[:i], int32(n)
	}
	if q.Stream == "" || cursor == "" {
		return nil, fmt.Errorf("STREAM and CURSOR must not be empty")
	}
	return q, nil
}

// beforeFirst is an offset of which Liftbridge's clients go on with the first message.
const beforeFirst = int64(-2)

// cursorTo reads where a cursor is to go.
func cursorTo(s string) (*int64, error) {
	n := beforeFirst
	if strings.EqualFold(s, "first") {
		return &n, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return nil, fmt.Errorf("%q is no position; write first, or an offset (1040)", s)
	}
	return &n, nil
}

func (a *app) showCursor(partition, cursor string, got *wire.CursorResponse) error {
	if a.asJSON {
		return a.printJSON(map[string]any{"partition": partition, "cursor": cursor, "offset": got.Offset})
	}
	t := newTable("PARTITION", "CURSOR", ">OFFSET")
	t.add(partition, cursor, cursorWhere(got.Offset))
	return t.print(a.out, a.bold)
}

// cursorWhere says where a cursor is; nil: nowhere.
func cursorWhere(offset *int64) string {
	switch {
	case offset == nil:
		return "not set"
	case *offset < 0:
		return "before the first message"
	}
	return thousands(*offset)
}
