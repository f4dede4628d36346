package main

import (
	"bufio"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// confirm asks before something is destroyed. Without a terminal it does not
// ask but refuses: a script says --force.
func (a *app) confirm(cmd *cobra.Command, force bool, what string) error {
	return a.agreed(cmd, "--force", force, what)
}

// agreed is confirm with a flag of another name.
func (a *app) agreed(cmd *cobra.Command, flag string, given bool, what string) error {
	if given {
		return nil
	}
	if !a.inTerm {
		return usagef(cmd, "%s needs %s where nobody can be asked", cmd.CommandPath(), flag)
	}
	fmt.Fprintf(a.err, "%s? [y/N] ", what)
	answer, err := bufio.NewReader(a.in).ReadString('\n')
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return fmt.Errorf("not confirmed; nothing was changed")
}
