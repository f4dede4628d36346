package main

import (
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
)

// streamFlags are a stream's settings as flags.
type streamFlags struct {
	subjects                                 []string
	description, storage, retention, discard string
	maxMsgs, maxPerSubject                   int64
	maxConsumers, replicas                   int
	maxBytes, maxMsgSize                     sizeFlag
	maxAge, dedup                            durationFlag
	discardPerSubject, noAck                 bool
	allowDirect, allowRollup                 bool
	denyDelete, denyPurge                    bool
	metadata                                 map[string]string
}

func (f *streamFlags) bind(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringSliceVar(&f.subjects, "subjects", nil, "subject `patterns` that the stream keeps")
	flags.StringVar(&f.description, "description", "", "what it is for")
	flags.StringVar(&f.storage, "storage", "file", "file or memory")
	flags.StringVar(&f.retention, "retention", "limits", "limits, interest or workqueue: when messages go")
	flags.StringVar(&f.discard, "discard", "old", "at a limit remove the old ones, or refuse new ones: old or new")
	flags.BoolVar(&f.discardPerSubject, "discard-per-subject", false, "with --discard new: also at the limit of a subject")
	flags.Int64Var(&f.maxMsgs, "max-msgs", -1, "keep at most this many messages")
	flags.Var(&f.maxBytes, "max-bytes", "keep at most this much, such as 10GB")
	flags.Var(&f.maxAge, "max-age", "keep messages this long, such as 30d")
	flags.Int64Var(&f.maxPerSubject, "max-msgs-per-subject", -1, "keep at most this many messages of a subject")
	flags.Var(&f.maxMsgSize, "max-msg-size", "refuse messages larger than this")
	flags.IntVar(&f.maxConsumers, "max-consumers", -1, "allow at most this many consumers")
	flags.IntVar(&f.replicas, "replicas", 1, "number of servers that keep the stream")
	flags.Var(&f.dedup, "dedup-window", "recognize repeated message identifiers this long (default 2m)")
	flags.BoolVar(&f.noAck, "no-ack", false, "never acknowledge publishing")
	flags.BoolVar(&f.allowDirect, "allow-direct", true, "let messages be read directly")
	flags.BoolVar(&f.allowRollup, "allow-rollup", false, "let a message replace what was before it (Nats-Rollup)")
	flags.BoolVar(&f.denyDelete, "deny-delete", false, "refuse to delete single messages, for good")
	flags.BoolVar(&f.denyPurge, "deny-purge", false, "refuse to purge, for good")
	flags.StringToStringVar(&f.metadata, "metadata", nil, "facts of your own, `KEY=VALUE`")
}

// setting moves one flag's value into a configuration.
type setting struct {
	flag string
	set  func(*streamFlags, *jetstream.StreamConfig) error
}

var streamSettings = []setting{
	{"subjects", func(f *streamFlags, c *jetstream.StreamConfig) error { c.Subjects = f.subjects; return nil }},
	{"description", func(f *streamFlags, c *jetstream.StreamConfig) error { c.Description = f.description; return nil }},
	{"storage", func(f *streamFlags, c *jetstream.StreamConfig) error {
		return choose(&c.Storage, "--storage", f.storage, map[string]jetstream.StorageType{
			"file": jetstream.FileStorage, "memory": jetstream.MemoryStorage})
	}},
	{"retention", func(f *streamFlags, c *jetstream.StreamConfig) error {
		return choose(&c.Retention, "--retention", f.retention, map[string]jetstream.RetentionPolicy{
			"limits": jetstream.LimitsPolicy, "interest": jetstream.InterestPolicy, "workqueue": jetstream.WorkQueuePolicy})
	}},
	{"discard", func(f *streamFlags, c *jetstream.StreamConfig) error {
		return choose(&c.Discard, "--discard", f.discard, map[string]jetstream.DiscardPolicy{
			"old": jetstream.DiscardOld, "new": jetstream.DiscardNew})
	}},
	{"discard-per-subject", func(f *streamFlags, c *jetstream.StreamConfig) error {
		c.DiscardNewPerSubject = f.discardPerSubject
		return nil
	}},
	{"max-msgs", func(f *streamFlags, c *jetstream.StreamConfig) error { c.MaxMsgs = f.maxMsgs; return nil }},
	{"max-bytes", func(f *streamFlags, c *jetstream.StreamConfig) error { c.MaxBytes = int64(f.maxBytes); return nil }},
	{"max-age", func(f *streamFlags, c *jetstream.StreamConfig) error { c.MaxAge = time.Duration(f.maxAge); return nil }},
	{"max-msgs-per-subject", func(f *streamFlags, c *jetstream.StreamConfig) error {
		c.MaxMsgsPerSubject = f.maxPerSubject
		return nil
	}},
	{"max-msg-size", func(f *streamFlags, c *jetstream.StreamConfig) error {
		if f.maxMsgSize > 1<<31-1 {
			return fmt.Errorf("--max-msg-size is at most 2GiB - 1")
		}
		c.MaxMsgSize = int32(f.maxMsgSize)
		return nil
	}},
	{"max-consumers", func(f *streamFlags, c *jetstream.StreamConfig) error { c.MaxConsumers = f.maxConsumers; return nil }},
	{"replicas", func(f *streamFlags, c *jetstream.StreamConfig) error { c.Replicas = f.replicas; return nil }},
	{"dedup-window", func(f *streamFlags, c *jetstream.StreamConfig) error {
		c.Duplicates = time.Duration(f.dedup)
		return nil
	}},
	{"no-ack", func(f *streamFlags, c *jetstream.StreamConfig) error { c.NoAck = f.noAck; return nil }},
	{"allow-direct", func(f *streamFlags, c *jetstream.StreamConfig) error { c.AllowDirect = f.allowDirect; return nil }},
	{"allow-rollup", func(f *streamFlags, c *jetstream.StreamConfig) error { c.AllowRollup = f.allowRollup; return nil }},
	{"deny-delete", func(f *streamFlags, c *jetstream.StreamConfig) error { c.DenyDelete = f.denyDelete; return nil }},
	{"deny-purge", func(f *streamFlags, c *jetstream.StreamConfig) error { c.DenyPurge = f.denyPurge; return nil }},
	{"metadata", func(f *streamFlags, c *jetstream.StreamConfig) error {
		if c.Metadata == nil {
			c.Metadata = map[string]string{}
		}
		maps.Copy(c.Metadata, f.metadata)
		return nil
	}},
}

// apply sets what the flags say; with changed only those that were given.
func (f *streamFlags) apply(cmd *cobra.Command, c *jetstream.StreamConfig, changed bool) error {
	for _, s := range streamSettings {
		if changed && !cmd.Flags().Changed(s.flag) {
			continue
		}
		if err := s.set(f, c); err != nil {
			return usagef(cmd, "%v", err)
		}
	}
	return nil
}

// choose sets target to the choice that value names.
func choose[T any](target *T, flag, value string, choices map[string]T) error {
	v, ok := choices[strings.ToLower(value)]
	if !ok {
		names := make([]string, 0, len(choices))
		for name := range maps.Keys(choices) {
			names = append(names, name)
		}
		return fmt.Errorf("%s is %s, not %q", flag, oneOf(names), value)
	}
	*target = v
	return nil
}
