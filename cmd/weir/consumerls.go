package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
)

func newConsumerLs(a *app) *cobra.Command {
	var names bool
	cmd := &cobra.Command{
		Use:     "ls STREAM",
		Aliases: []string{"list"},
		Short:   "List a stream's consumers",
		Long:    "Lists the consumers of a stream: how far each is, what waits for an acknowledgement, and what is still to come.",
		Example: "  weir consumer ls ORDERS\n  weir consumer ls ORDERS --names",
		Args:    arguments(1, 1),
	}
	cmd.Flags().BoolVar(&names, "names", false, "print names only, one a line")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.withStreams(cmd, func(ctx context.Context, js jetstream.JetStream) error {
			s, err := openStream(ctx, js, args[0])
			if err != nil {
				return err
			}
			list, err := listConsumers(ctx, s)
			if err != nil {
				return err
			}
			return a.showConsumers(args[0], list, names)
		})
	}
	return cmd
}

func listConsumers(ctx context.Context, s jetstream.Stream) ([]*jetstream.ConsumerInfo, error) {
	list := []*jetstream.ConsumerInfo{}
	lister := s.ListConsumers(ctx)
	for info := range lister.Info() {
		list = append(list, info)
	}
	if err := lister.Err(); err != nil {
		return nil, fmt.Errorf("list consumers of %s: %w", s.CachedInfo().Config.Name, err)
	}
	slices.SortFunc(list, func(x, y *jetstream.ConsumerInfo) int { return strings.Compare(x.Name, y.Name) })
	return list, nil
}

func (a *app) showConsumers(stream string, list []*jetstream.ConsumerInfo, names bool) error {
	switch {
	case names && a.asJSON:
		all := make([]string, 0, len(list))
		for _, c := range list {
			all = append(all, c.Name)
		}
		return a.printJSON(all)
	case names:
		for _, c := range list {
			fmt.Fprintln(a.out, c.Name)
		}
		return nil
	case a.asJSON:
		return a.printJSON(list)
	case len(list) == 0:
		_, err := fmt.Fprintf(a.out, "No consumers. `weir consumer add %s NAME` makes one.\n", stream)
		return err
	}
	t := newTable("NAME", "FILTER", "ACK", ">TO COME", ">UNACKNOWLEDGED", ">REDELIVERED", ">ACK FLOOR", ">WAITING")
	for _, c := range list {
		t.add(c.Name, shorten(filterText(c.Config), 40), ackText(c.Config), thousands(c.NumPending), thousands(c.NumAckPending),
			thousands(c.NumRedelivered), thousands(c.AckFloor.Stream), thousands(c.NumWaiting))
	}
	return t.print(a.out, a.bold)
}

func filterText(c jetstream.ConsumerConfig) string {
	all := c.FilterSubjects
	if c.FilterSubject != "" {
		all = append([]string{c.FilterSubject}, all...)
	}
	if len(all) == 0 {
		return ">"
	}
	return strings.Join(all, ", ")
}

func ackText(c jetstream.ConsumerConfig) string {
	switch c.AckPolicy {
	case jetstream.AckExplicitPolicy:
		return "explicit"
	case jetstream.AckAllPolicy:
		return "all"
	case jetstream.AckNonePolicy:
		return "none"
	}
	return c.AckPolicy.String()
}
