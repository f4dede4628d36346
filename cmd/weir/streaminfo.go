package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
)

func newStreamInfo(a *app) *cobra.Command {
	var subjects string
	cmd := &cobra.Command{
		Use:     "info NAME",
		Short:   "Show a stream's settings and what it holds",
		Long:    "Shows a stream's settings and what it holds. --subjects adds the number of messages of each subject that fits.",
		Example: "  weir stream info ORDERS\n  weir stream info ORDERS --subjects 'orders.*'\n  weir stream info ORDERS --json",
		Args:    arguments(1, 1),
	}
	cmd.Flags().StringVar(&subjects, "subjects", "", "count messages by subject, for subjects like `PATTERN`")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.withStreams(cmd, func(ctx context.Context, js jetstream.JetStream) error {
			s, err := openStream(ctx, js, args[0])
			if err != nil {
				return err
			}
			info := s.CachedInfo()
			if subjects != "" {
				if info, err = s.Info(ctx, jetstream.WithSubjectFilter(subjects)); err != nil {
					return fmt.Errorf("count subjects of %s: %w", args[0], err)
				}
			}
			return a.showStream(info)
		})
	}
	return cmd
}

func (a *app) showStream(info *jetstream.StreamInfo) error {
	if a.asJSON {
		return a.printJSON(info)
	}
	c, st := info.Config, info.State
	var s sheet
	s.heading("Stream " + c.Name)
	s.add("Description", c.Description)
	s.add("Subjects", strings.Join(c.Subjects, ", "))
	s.add("Storage", strings.ToLower(c.Storage.String())+replicas(c.Replicas))
	s.add("Made", when(info.Created))
	s.add("Metadata", pairs(c.Metadata))
	s.heading("Limits")
	s.add("Retention", strings.ToLower(c.Retention.String()))
	s.add("At a limit", discardText(c))
	s.add("Messages", limit(c.MaxMsgs))
	s.add("Per subject", limit(c.MaxMsgsPerSubject))
	s.add("Bytes", limitBytes(c.MaxBytes))
	s.add("Age", limitAge(c.MaxAge))
	s.add("Message size", limitBytes(int64(c.MaxMsgSize)))
	s.add("Consumers", limit(int64(c.MaxConsumers)))
	s.add("Duplicate window", humanDuration(c.Duplicates))
	s.add("Switches", strings.Join(switches(c), ", "))
	s.heading("Holds")
	s.add("Messages", thousands(st.Msgs))
	s.add("Bytes", humanBytes(st.Bytes))
	s.add("Subjects", thousands(st.NumSubjects))
	s.add("First", end(st.FirstSeq, when(st.FirstTime), st.Msgs))
	s.add("Last", end(st.LastSeq, when(st.LastTime), st.LastSeq))
	s.add("Deleted inside", thousands(st.NumDeleted))
	s.add("Consumers", thousands(st.Consumers))
	if err := s.print(a.out, a.bold); err != nil {
		return err
	}
	return a.showSubjects(st.Subjects)
}

func (a *app) showSubjects(counts map[string]uint64) error {
	if len(counts) == 0 {
		return nil
	}
	fmt.Fprintln(a.out)
	t := newTable("SUBJECT", ">MESSAGES")
	for _, subject := range slices.Sorted(maps.Keys(counts)) {
		t.add(subject, thousands(counts[subject]))
	}
	return t.print(a.out, a.bold)
}

func replicas(n int) string {
	if n <= 1 {
		return ""
	}
	return fmt.Sprintf(", %d replicas", n)
}

func discardText(c jetstream.StreamConfig) string {
	switch {
	case c.Discard == jetstream.DiscardOld:
		return "remove old messages"
	case c.DiscardNewPerSubject:
		return "refuse new messages, by subject too"
	}
	return "refuse new messages"
}

// switches names what is on.
func switches(c jetstream.StreamConfig) []string {
	var on []string
	for _, s := range []struct {
		is   bool
		name string
	}{
		{c.AllowDirect, "direct reads"}, {c.AllowRollup, "rollups"}, {c.DenyDelete, "no deletes"}, {c.DenyPurge, "no purge"},
		{c.NoAck, "no acknowledgements"}, {c.Sealed, "sealed"}, {c.AllowMsgTTL, "message lifetimes"},
	} {
		if s.is {
			on = append(on, s.name)
		}
	}
	return on
}

// end writes the first or last sequence with its time; with holds 0 there is none.
func end(seq uint64, at string, holds uint64) string {
	if holds == 0 {
		return thousands(seq)
	}
	return thousands(seq) + " of " + at
}

// pairs writes the user's metadata; the server's own, with a leading underscore, is left out.
func pairs(m map[string]string) string {
	var all []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if !strings.HasPrefix(k, "_") {
			all = append(all, k+"="+m[k])
		}
	}
	return strings.Join(all, ", ")
}
