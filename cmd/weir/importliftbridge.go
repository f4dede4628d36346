package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/weirmq/weir/internal/wire/liftbridge/store"
)

type importLiftFlags struct {
	fromFlags
	dirFlags
	encryption            string
	streams, cursors      []string
	subjects              []string
	maxAge                time.Duration
	maxBytes, maxMessages int64
	compact               bool
	resumePaused          bool
}

const importLiftLong = `Copies the streams of a Liftbridge server into a running weir (--server): messages with
their offsets, gaps, times, keys and headers, and cursors, those of consumer groups
included. Each partition is made in one go, and a stream is there when all of its
partitions are. Then it is read back and compared, message by message.

From its data directory DIR (data.dir): stop the old server before. DIR is only read.
What the streams are configured with is read from its Raft log. Every record's checksum
is verified; one that is damaged ends the import of its partition with its file and
place, unless --skip-damaged leaves such records out and names them. A record that was
just being written when the old server ended is left out, and said.

From a running server (--from): as any client. Messages are gathered in --work first. A
server does not tell how its streams are configured: --max-age and the like say it. Of
a cluster any address will do, if this machine reaches the others as they are advertised.

Whatever ends an import, the same command goes on: what was gathered stays until it is
verified, partitions that are there are compared again, and cursors that are set in weir
stay as they are. Stop publishers before the last run: what comes later is not in the
copy.

Exit status: 0 all is there and verified, 1 not.`

const importLiftExample = `  weir import liftbridge /var/lib/liftbridge --dry-run
  weir import liftbridge /var/lib/liftbridge --max-age 168h
  weir import liftbridge --from old.example:9292 -s nats://new.example:4222
  weir import liftbridge --from tls://old.example:9292 --from-ca ca.pem --stream orders --cursor billing`

func newImportLiftbridge(a *app) *cobra.Command {
	var f importLiftFlags
	cmd := &cobra.Command{
		Use:     "liftbridge [DIR]",
		Short:   "Copy streams and cursors from Liftbridge: its data directory, or a running server",
		Long:    importLiftLong,
		Example: importLiftExample,
		Args:    arguments(0, 1),
	}
	f.bind(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := f.choose(cmd, args, f.from, "HOST:9292"); err != nil {
			return err
		}
		if err := f.check(cmd); err != nil {
			return err
		}
		if f.from != "" {
			return a.importLiftFrom(cmd.Context(), &f)
		}
		return a.importLiftDir(cmd.Context(), &f)
	}
	return cmd
}

func (f *importLiftFlags) bind(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.from, "from", "", "`address` of the server to copy from: HOST:9292, or tls://HOST:9292")
	f.bindAccess(flags)
	f.dirFlags.bind(flags)
	flags.StringArrayVar(&f.streams, "stream", nil, "only the stream of this `name`; may be given again")
	flags.StringArrayVar(&f.cursors, "cursor", nil, "`id` of a cursor, or __group:ID of a group, for --from where these are not listed; may be given again")
	flags.StringArrayVar(&f.subjects, "subject", nil, "`STREAM=SUBJECT`, of a stream in DIR that the Raft log does not tell of; may be given again")
	flags.DurationVar(&f.maxAge, "max-age", 0, "age that removes messages, of streams that do not say (streams.retention.max.age of the old server, there 168h by default)")
	flags.Int64Var(&f.maxBytes, "max-bytes", 0, "bytes that a partition keeps, of streams that do not say (streams.retention.max.bytes)")
	flags.Int64Var(&f.maxMessages, "max-messages", 0, "messages that a partition keeps, of streams that do not say (streams.retention.max.messages)")
	flags.BoolVar(&f.compact, "compact", false, "keep the newest message of each key, in streams that do not say (streams.compact.enabled)")
	flags.StringVar(&f.encryption, "encryption-key", "", "key that the old server encrypted values in DIR with (LIFTBRIDGE_ENCRYPTION_KEY)")
	flags.BoolVar(&f.resumePaused, "resume-paused", false, "read partitions that are paused at --from, too: the old server resumes them")
}

// check says what does not fit.
func (f *importLiftFlags) check(cmd *cobra.Command) error {
	for _, s := range f.subjects {
		if stream, subject, ok := strings.Cut(s, "="); !ok || stream == "" || subject == "" {
			return usagef(cmd, "--subject %q is not STREAM=SUBJECT", s)
		}
	}
	switch {
	case f.maxAge < 0 || f.maxBytes < 0 || f.maxMessages < 0:
		return usagef(cmd, "limits are not negative")
	case f.from != "" && (len(f.subjects) > 0 || f.encryption != "" || f.skipDamaged):
		return usagef(cmd, "--subject, --encryption-key and --skip-damaged are for a directory")
	case f.from == "" && (len(f.cursors) > 0 || f.resumePaused || f.keep || f.fromFlags != (fromFlags{})):
		return usagef(cmd, "--cursor, --resume-paused, --keep and --from-* are for a running server (--from)")
	}
	return f.fromFlags.check(cmd)
}

// complete puts in what a stream does not say itself.
func (f *importLiftFlags) complete(s *store.Stream) {
	if s.MaxAge == nil {
		s.MaxAge = &f.maxAge
	}
	if s.MaxBytes == nil {
		s.MaxBytes = &f.maxBytes
	}
	if s.MaxMessages == nil {
		s.MaxMessages = &f.maxMessages
	}
	if s.Compacts == nil {
		s.Compacts = &f.compact
	}
}

// warn says what is about no single partition.
func (a *app) warn(format string, args ...any) { fmt.Fprintf(a.err, "weir: "+format+"\n", args...) }

// importedPartition is what became of one partition.
type importedPartition struct {
	Stream    string `json:"stream"`
	Partition int32  `json:"partition"`
	Name      string `json:"name"` // that JetStream's clients know it by
	fate
	Cursors int  `json:"cursors,omitempty"`
	There   bool `json:"there,omitempty"` // from an earlier run
}

// label names a partition for people.
func (p *importedPartition) label(of int32) string {
	if of == 1 {
		return p.Stream
	}
	return fmt.Sprintf("%s, partition %d", p.Stream, p.Partition)
}

// liftStream is a stream to be copied.
type liftStream struct {
	*store.Stream
	// source gives one of its partitions.
	source func(partition int32) partitionSource
	// cursors by partition and id.
	cursors map[int32]map[string]int64
	failed  bool // one of its partitions
}

// importLift copies streams, one partition after the other, the first one last. One that
// fails does not keep other streams from being copied.
func (a *app) importLift(ctx context.Context, f *importLiftFlags, streams []*liftStream) error {
	start := time.Now()
	var all []*importingPartition
	copies := func(yield func(string, copying) bool) {
		for _, s := range streams {
			f.complete(s.Stream)
			for k := s.Partitions - 1; k >= 0; k-- {
				m := newImportingPartition(a, f, s, k)
				all = append(all, m)
				if !yield(m.name, m) {
					return
				}
			}
		}
	}
	return a.copyAll(ctx, "stream", f.dryRun, copies, func() error { return a.showImportedPartitions(all, f.dryRun, time.Since(start)) })
}

func (a *app) showImportedPartitions(all []*importingPartition, dryRun bool, took time.Duration) error {
	if a.asJSON {
		out := make([]*importedPartition, 0, len(all))
		for _, m := range all {
			out = append(out, m.out)
		}
		return a.printJSON(out)
	}
	t := newFates("STREAM", "CURSORS")
	for _, m := range all {
		result := "verified"
		switch r := m.out; {
		case r.Error != "" && dryRun:
			result = "cannot be copied"
		case r.Error != "":
			result = "not imported"
		case dryRun:
			result = "to be copied"
		case r.There:
			result = "verified, of an earlier run"
		}
		t.add(m.name, &m.out.fate, m.out.Cursors, result)
	}
	return t.print(a, "partition", "partitions", took)
}
