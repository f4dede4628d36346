package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
)

const groupToHelp = "first, last (what is yet to come), a sequence (1200), a time (2026-08-19T12:00:00Z, 12:30) or how long ago (90s, 2h, 7d)"

func newGroupReset(a *app) *cobra.Command {
	var to string
	var force bool
	cmd := &cobra.Command{
		Use:   "reset GROUP [STREAM|PARTITION...]",
		Short: "Have a group read from somewhere else on",
		Long: `Moves the cursors of a group that has no members: of the streams or partitions that
are named, or of all that it has read. Its next members go on there. It asks first;
--force does not.`,
		Example: `  weir group reset billing --to first
  weir group reset billing ORDERS --to last --force
  weir group reset billing ORDERS:2 --to 1200
  weir group reset billing --to 2h`,
		Args: arguments(1, -1),
	}
	cmd.Flags().StringVar(&to, "to", "", "where it goes on: "+groupToHelp)
	cmd.Flags().BoolVarP(&force, "force", "f", false, "do not ask")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		name, err := groupArgument(cmd, args)
		if err != nil {
			return err
		}
		r, err := groupTo(to, time.Now())
		if err != nil {
			return usagef(cmd, "--to: %v", err)
		}
		r.Names = args[1:]
		if err := a.confirm(cmd, force, "Have group "+name+" go on at "+to); err != nil {
			return err
		}
		var done wire.GroupResetResponse
		if err := a.askGroups(wire.GroupReset, name, r, &done, &done.Response); err != nil {
			return err
		}
		return a.showReset(&done)
	}
	return cmd
}

// groupTo reads where a group is to go on.
func groupTo(s string, now time.Time) (*wire.GroupResetRequest, error) {
	switch s = strings.ToLower(s); s {
	case "first", "last":
		return &wire.GroupResetRequest{To: s}, nil
	}
	if n, err := strconv.ParseUint(s, 10, 64); err == nil && n > 0 {
		return &wire.GroupResetRequest{To: "sequence", Sequence: n}, nil
	}
	if t, ok := parseTime(s, now); ok {
		return &wire.GroupResetRequest{To: "time", Time: t}, nil
	}
	if d, err := parseDuration(s); err == nil && d > 0 {
		return &wire.GroupResetRequest{To: "time", Time: now.Add(-d)}, nil
	}
	return nil, fmt.Errorf("%q is no position; write %s", s, groupToHelp)
}

func (a *app) showReset(done *wire.GroupResetResponse) error {
	if a.asJSON {
		return a.printJSON(done.Cursors)
	}
	t := newTable("PARTITION", ">GOES ON AT")
	for _, c := range done.Cursors {
		t.add(c.Name, thousands(c.Last+1))
	}
	return t.print(a.out, a.bold)
}
