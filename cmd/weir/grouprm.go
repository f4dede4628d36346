package main

import (
	"github.com/spf13/cobra"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
)

func newGroupRm(a *app) *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:     "rm GROUP",
		Aliases: []string{"delete"},
		Short:   "Remove a group's cursors",
		Long: `Removes all that is known of a group that has no members: how far it is. The streams'
messages stay. It asks first; --force does not.`,
		Example: "  weir group rm billing\n  weir group rm billing --force",
		Args:    arguments(1, 1),
	}
	cmd.Flags().BoolVarP(&force, "force", "f", false, "do not ask")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		name, err := groupArgument(cmd, args)
		if err != nil {
			return err
		}
		if err := a.confirm(cmd, force, "Remove group "+name); err != nil {
			return err
		}
		var done wire.SuccessResponse
		if err := a.askGroups(wire.GroupDelete, name, nil, &done, &done.Response); err != nil {
			return err
		}
		return a.done(map[string]any{"removed": name}, "Removed group %s", name)
	}
	return cmd
}
