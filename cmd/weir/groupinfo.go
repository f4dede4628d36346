package main

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
)

func newGroupInfo(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "info GROUP",
		Short: "Show a group's members, and how far it is",
		Long: `Shows the members of a group, who reads which partition, and how far the group is with
each: LAST is the last sequence that it is done with, END the last one there, and LAG
how many messages are in between. A group is done with what its members have committed.`,
		Example: "  weir group info billing\n  weir group info billing --json",
		Args:    arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := groupArgument(cmd, args)
			if err != nil {
				return err
			}
			var info wire.GroupInfoResponse
			if err := a.askGroups(wire.GroupInfo, name, nil, &info, &info.Response); err != nil {
				return err
			}
			if a.asJSON {
				return a.printJSON(&info)
			}
			return a.showGroup(&info)
		},
	}
}

func (a *app) showGroup(info *wire.GroupInfoResponse) error {
	var s sheet
	s.heading("Group " + info.Group)
	if s.add("Members", thousands(len(info.Members))); len(info.Members) > 0 {
		s.add("Epoch", fmt.Sprint(info.Epoch))
	}
	if err := s.print(a.out, a.bold); err != nil {
		return err
	}
	if len(info.Members) > 0 {
		fmt.Fprintln(a.out)
		t := newTable("MEMBER", "READS", "EXPIRES IN")
		for _, m := range info.Members {
			t.add(m.Consumer, shorten(cmp.Or(strings.Join(m.Reads, " "), "nothing"), 60), humanDuration(m.Expires))
		}
		if err := t.print(a.out, a.bold); err != nil {
			return err
		}
	}
	if len(info.Partitions) == 0 {
		return nil
	}
	fmt.Fprintln(a.out)
	t := newTable("PARTITION", "MEMBER", ">LAST", ">END", ">LAG")
	lag := uint64(0)
	for _, p := range info.Partitions {
		last := "-"
		if p.Last != nil {
			last = thousands(*p.Last)
		}
		t.add(p.Name, p.Consumer, last, thousands(p.End), thousands(p.Lag))
		lag += p.Lag
	}
	t.total("", "", "", "", thousands(lag))
	return t.print(a.out, a.bold)
}
