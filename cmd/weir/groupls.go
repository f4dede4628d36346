package main

import (
	"fmt"

	"github.com/spf13/cobra"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
)

func newGroupLs(a *app) *cobra.Command {
	var names bool
	cmd := &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List the consumer groups",
		Long:    "Lists the consumer groups that have members, and those without that have read something.",
		Example: "  weir group ls\n  weir group ls --names",
		Args:    arguments(0, 0),
	}
	cmd.Flags().BoolVar(&names, "names", false, "print names only, one a line")
	cmd.RunE = func(*cobra.Command, []string) error {
		list, err := a.listGroups()
		if err != nil {
			return err
		}
		return a.showGroups(list, names)
	}
	return cmd
}

// listGroups gets all pages of the list.
func (a *app) listGroups() ([]wire.GroupSummary, error) {
	list := []wire.GroupSummary{}
	for {
		var page wire.GroupListResponse
		if err := a.askGroups(wire.GroupList, "", &wire.GroupListRequest{Offset: len(list)}, &page, &page.Response); err != nil {
			return nil, err
		}
		list = append(list, page.Groups...)
		if len(page.Groups) == 0 || len(list) >= page.Total {
			return list, nil
		}
	}
}

func (a *app) showGroups(list []wire.GroupSummary, names bool) error {
	all := make([]string, len(list))
	for i, g := range list {
		all[i] = g.Group
	}
	switch {
	case names && a.asJSON:
		return a.printJSON(all)
	case names:
		for _, name := range all {
			fmt.Fprintln(a.out, name)
		}
		return nil
	case a.asJSON:
		return a.printJSON(list)
	case len(list) == 0:
		_, err := fmt.Fprintln(a.out, "No consumer groups. The first member that joins makes one.")
		return err
	}
	t := newTable("NAME", ">MEMBERS", ">EPOCH")
	for _, g := range list {
		epoch := ""
		if g.Members > 0 {
			epoch = fmt.Sprint(g.Epoch)
		}
		t.add(g.Group, thousands(g.Members), epoch)
	}
	return t.print(a.out, a.bold)
}
