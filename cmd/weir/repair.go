package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/weirmq/weir/internal/check"
)

const repairLong = `Makes the damaged data directory DIR of a stopped server one that it starts with.
It checks DIR, prints what is damaged, asks, and then makes again what follows from
the rest: indexes, footers, headers, the catalog from its copy, the identity from
the journal. Records that cannot be read are quarantined: they stay where they are,
are answered with an error, and everything around them can be read. What no file
has any more is listed by stream and sequences.

What is changed is copied first, to a directory repair-TIME in DIR; with it a repair
can be undone. Best make a copy of all of DIR before.

Exit status: 0 repaired, or nothing to do; 1 not repaired.`

func newRepair(a *app) *cobra.Command {
	var yes bool
	var keyFile string
	cmd := &cobra.Command{
		Use:     "repair DIR",
		GroupID: groupServer,
		Short:   "Make a damaged data directory usable again",
		Long:    repairLong,
		Example: "  weir repair /var/lib/weir\n  weir repair weir-data --yes --json",
		Args:    arguments(1, 1),
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	bindKeyFile(cmd, &keyFile)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !yes && !a.inTerm {
			return usagef(cmd, "%s needs --yes where nobody can be asked", cmd.CommandPath())
		}
		o, done, err := a.checkOptions(args[0], keyFile)
		if err != nil {
			return err
		}
		defer done()
		r, err := check.Repair(cmd.Context(), o, func(before *check.Report) error {
			done()
			if !a.asJSON {
				if err := a.printReport(before); err != nil {
					return err
				}
			}
			return a.agreed(cmd, "--yes", yes, "Repair "+args[0])
		})
		done()
		if r != nil && r.Originals != "" && err != nil {
			a.note("What was changed is kept in %s of %s", r.Originals, args[0])
		}
		if err != nil {
			return err
		}
		if err := a.printRepaired(r); err != nil {
			return err
		}
		if !r.After.Clean() {
			return &statusError{exitFailure, nil}
		}
		return nil
	}
	return cmd
}

// printRepaired writes what a repair did.
func (a *app) printRepaired(r *check.Repaired) error {
	if a.asJSON {
		return a.printJSON(r)
	}
	if r.Originals == "" {
		_, err := fmt.Fprintln(a.out, "Nothing to repair: "+verdict(r.After))
		return err
	}
	var w strings.Builder
	for _, s := range r.Rebuilt {
		fmt.Fprintf(&w, "rebuilt %s\n", s)
	}
	for i := range r.Quarantined {
		d := &r.Quarantined[i]
		fmt.Fprintf(&w, "quarantined %s, %s\n", d.File, describe(d))
	}
	for i := range r.Lost {
		d := &r.Lost[i]
		fmt.Fprintf(&w, "lost %s: %s: %s\n", d.Where(), d.Sequences(), d.Detail)
	}
	for _, s := range r.Warnings {
		fmt.Fprintf(&w, "warning: %s\n", s)
	}
	for _, s := range r.After.Unchecked {
		fmt.Fprintf(&w, "not checked: %s\n", s)
	}
	fmt.Fprintf(&w, "The originals are in %s\nNow: %s\n", r.Originals, verdict(r.After))
	_, err := io.WriteString(a.out, w.String())
	return err
}
