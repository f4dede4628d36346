package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// build says what this binary is.
type build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified,omitempty"`
	Go       string `json:"go"`
	System   string `json:"system"`
}

func thisBuild() build {
	b := build{Version: release, Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value[:min(len(s.Value), 12)]
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

func (b build) String() string {
	detail := b.Go + " " + b.System
	if b.Revision != "" {
		detail = b.Revision + " " + detail
	}
	return fmt.Sprintf("weir %s (%s)", b.Version, detail)
}

func newVersion(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		GroupID: groupServer,
		Short:   "Print version, revision and Go release",
		Long:    "Prints the version of this binary, the revision it was built from and the Go release that built it.",
		Example: "  weir version\n  weir version --json",
		Args:    arguments(0, 0),
		RunE: func(*cobra.Command, []string) error {
			if a.asJSON {
				return a.printJSON(thisBuild())
			}
			_, err := fmt.Fprintln(a.out, thisBuild())
			return err
		},
	}
}
