package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
)

func newStreamLs(a *app) *cobra.Command {
	var subject string
	var names bool
	cmd := &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List streams",
		Long:    "Lists the streams of the account with what they hold. --subject shows only those that keep some of these subjects.",
		Example: "  weir stream ls\n  weir stream ls --subject 'orders.*'\n  weir stream ls --names",
		Args:    arguments(0, 0),
	}
	cmd.Flags().StringVar(&subject, "subject", "", "only streams that keep `subjects` like this")
	cmd.Flags().BoolVar(&names, "names", false, "print names only, one a line")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.withStreams(cmd, func(ctx context.Context, js jetstream.JetStream) error {
			list, err := listStreams(ctx, js, subject)
			if err != nil {
				return err
			}
			return a.showStreams(list, names)
		})
	}
	return cmd
}

func listStreams(ctx context.Context, js jetstream.JetStream, subject string) ([]*jetstream.StreamInfo, error) {
	var opts []jetstream.StreamListOpt
	if subject != "" {
		opts = append(opts, jetstream.WithStreamListSubject(subject))
	}
	list := []*jetstream.StreamInfo{}
	lister := js.ListStreams(ctx, opts...)
	for info := range lister.Info() {
		list = append(list, info)
	}
	if err := lister.Err(); err != nil {
		return nil, fmt.Errorf("list streams: %w", err)
	}
	slices.SortFunc(list, func(x, y *jetstream.StreamInfo) int { return strings.Compare(x.Config.Name, y.Config.Name) })
	return list, nil
}

func (a *app) showStreams(list []*jetstream.StreamInfo, names bool) error {
	switch {
	case names && a.asJSON:
		all := make([]string, 0, len(list))
		for _, s := range list {
			all = append(all, s.Config.Name)
		}
		return a.printJSON(all)
	case names:
		for _, s := range list {
			fmt.Fprintln(a.out, s.Config.Name)
		}
		return nil
	case a.asJSON:
		return a.printJSON(list)
	case len(list) == 0:
		_, err := fmt.Fprintln(a.out, "No streams. `weir stream add NAME SUBJECT` makes one.")
		return err
	}
	t := newTable("NAME", "SUBJECTS", "STORAGE", ">MESSAGES", ">BYTES", ">FIRST", ">LAST", ">CONSUMERS", "LAST MESSAGE")
	for _, s := range list {
		t.add(s.Config.Name, shorten(strings.Join(s.Config.Subjects, ", "), 40), strings.ToLower(s.Config.Storage.String()),
			thousands(s.State.Msgs), humanBytes(s.State.Bytes), thousands(s.State.FirstSeq), thousands(s.State.LastSeq),
			thousands(s.State.Consumers), when(s.State.LastTime))
	}
	return t.print(a.out, a.bold)
}

// shorten cuts text to at most n characters.
func shorten(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n-1]) + "…"
}
