package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	wire "github.com/weirmq/weir/internal/wire/stan"
)

type importStanFlags struct {
	dir, cluster, key   string
	channels            []string
	skipDamaged, dryRun bool
}

const importStanLong = `Copies the channels of a NATS Streaming server from its file store in DIR into a
running weir (--server) that serves streaming clients: messages with their sequences
and times, durables and durable queue groups with what they have not acknowledged.
Each channel becomes a stream in one go: nobody sees half of one. Then it is read back
and compared, message by message, and the durables are made.

Stop the old server before. DIR is only read. Every record's checksum is verified; one
that is damaged ends the import of its channel with its file and place, unless
--skip-damaged leaves such records out and names them.

Whatever ends an import, the same command goes on: channels that are there are verified,
and durables that are there stay as they are. Applications connect to weir again with
their client ids and go on where their durables stood.

Exit status: 0 all is there and verified, 1 not.`

const importStanExample = `  weir import stan /var/lib/nats-streaming --dry-run
  weir import stan /var/lib/nats-streaming
  weir import stan /var/lib/nats-streaming -s nats://new.example:4222 --channel orders --channel billing.eu`

func newImportStan(a *app) *cobra.Command {
	var f importStanFlags
	cmd := &cobra.Command{
		Use:     "stan DIR",
		Short:   "Copy channels and durables from NATS Streaming's file store",
		Long:    importStanLong,
		Example: importStanExample,
		Args:    arguments(1, 1),
	}
	flags := cmd.Flags()
	flags.StringVar(&f.cluster, "cluster", "", "`id` of the cluster that weir serves, where it is not the old one's")
	flags.StringVar(&f.key, "encryption-key", "", "key that the old server encrypted with (NATS_STREAMING_ENCRYPTION_KEY)")
	flags.StringArrayVar(&f.channels, "channel", nil, "only the channel of this `name`; may be given again")
	flags.BoolVar(&f.skipDamaged, "skip-damaged", false, "leave damaged records out and name them")
	flags.BoolVar(&f.dryRun, "dry-run", false, "read everything, say what would be copied, and change nothing")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		f.dir = args[0]
		return a.importStan(cmd.Context(), &f)
	}
	return cmd
}

// importedChannel is what became of one channel.
type importedChannel struct {
	Channel string `json:"channel"`
	Stream  string `json:"stream"`
	fate
	Durables []string `json:"durables,omitempty"`
	There    bool     `json:"there,omitempty"` // from an earlier run
}

// importStan copies the chosen channels, one after the other. One that fails does not
// keep the others from being copied.
func (a *app) importStan(ctx context.Context, f *importStanFlags) error {
	start := time.Now()
	old, err := openOldStore(f.dir)
	if err != nil {
		return err
	}
	if f.cluster == "" {
		f.cluster = old.cluster
	}
	if f.cluster == "" {
		return fmt.Errorf("%s/server.dat names no cluster: --cluster says which one weir serves", f.dir)
	}
	old.key = orEnv(f.key, a.getenv, "NATS_STREAMING_ENCRYPTION_KEY")
	channels, err := old.chosen(f.channels)
	if err != nil {
		return err
	}
	var all []*importedChannel
	copies := func(yield func(string, copying) bool) {
		for _, name := range channels {
			m := &importingChannel{app: a, flags: f, old: old, name: name, out: &importedChannel{Channel: name, Stream: streamOfChannel(name)}}
			all = append(all, m.out)
			if !yield(name, m) {
				return
			}
		}
	}
	return a.copyAll(ctx, "channel", f.dryRun, copies, func() error { return a.showImportedChannels(all, f.dryRun, time.Since(start)) })
}

func (a *app) showImportedChannels(all []*importedChannel, dryRun bool, took time.Duration) error {
	if a.asJSON {
		return a.printJSON(all)
	}
	t := newFates("CHANNEL", "DURABLES")
	for _, r := range all {
		result := "verified"
		switch {
		case r.Error != "" && dryRun:
			result = "cannot be copied"
		case r.Error != "":
			result = "not imported"
		case dryRun:
			result = "to be copied"
		case r.There:
			result = "verified, of an earlier run"
		}
		t.add(r.Channel, &r.fate, len(r.Durables), result)
	}
	return t.print(a, "channel", "channels", took)
}

// adopt hands a durable over to weir, where it may be from an earlier run.
func (m *importingChannel) adopt(ctx context.Context, q *wire.Adoption) error {
	b, err := json.Marshal(q)
	if err != nil {
		return fmt.Errorf("encode a durable: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, max(m.timeout, snapshotPatience))
	defer cancel()
	answer, err := m.dst.nc.RequestWithContext(ctx, wire.AdoptSubject(m.flags.cluster), b)
	if err != nil {
		return fmt.Errorf("hand durable %s over: does weir serve streaming clients of the cluster %s? %w", q.Durable, m.flags.cluster, err)
	}
	var got wire.Adopted
	if err := json.Unmarshal(answer.Data, &got); err != nil {
		return fmt.Errorf("read the answer about durable %s: %w", q.Durable, err)
	}
	switch {
	case got.Error != "":
		return fmt.Errorf("durable %s: %s", q.Durable, got.Error)
	case got.Kept:
		m.out.note("durable %s was there and stays as it is", durableName(q))
	case got.LastSent == min(q.LastSent, m.out.LastSeq) && got.Pending < m.waiting(q):
		m.out.note("durable %s: %s that it had not acknowledged are removed by weir's limits", durableName(q), plural(uint64(m.waiting(q)-got.Pending), "message", "messages"))
	case got.LastSent != min(q.LastSent, m.out.LastSeq) || got.Pending > m.waiting(q):
		return fmt.Errorf("durable %s is at %d with %d waiting, instead of %d and %d", q.Durable, got.LastSent, got.Pending, q.LastSent, m.waiting(q))
	}
	return nil
}

// waiting is how much of what a durable has not acknowledged is still there.
func (m *importingChannel) waiting(q *wire.Adoption) (n int) {
	for _, seq := range q.Pending {
		if seq >= m.out.FirstSeq && seq <= m.out.LastSeq {
			n++
		}
	}
	return n
}

func durableName(q *wire.Adoption) string {
	if q.Queue != "" {
		return q.Durable + " of the queue group " + q.Queue
	}
	return q.Durable + " of client " + q.Client
}
