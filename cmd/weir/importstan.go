package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	wire "github.com/weirmq/weir/internal/wire/stan"
)

type importStanFlags struct {
	fromFlags
	dirFlags
	cluster, encryption  string
	fromCluster, monitor string
	channels             []string
	clients              bool
	// sessions are the clients to hand over before the first channel, if any.
	sessions []*wire.AdoptedSession
	// elsewhere are those of whom weir has another session: they have connected again.
	elsewhere map[string]bool
}

const importStanLong = `Copies the channels of a NATS Streaming server into a running weir (--server) that
serves streaming clients: messages with their sequences and times, durables and durable
queue groups with what they have not acknowledged. Each channel becomes a stream in one
go: nobody sees half of one. Then it is read back and compared, message by message, and
the durables are made.

From its file store in DIR: stop the old server before. DIR is only read. Every record's
checksum is verified; one that is damaged ends the import of its channel with its file
and place, unless --skip-damaged leaves such records out and names them.

From a running server (--from), of whatever store: as a subscriber of each channel.
--monitor, where it has its /streaming/channelsz, tells of all channels, their counts and
durables; without it --channel names the channels, and durables are left out. Messages
are gathered in --work first. Durables are carried over when their applications have
ended: what one has not acknowledged it is asked for by subscribing in its client's name,
which leaves its position as it was.

With --clients those clients that were connected to the old server go on, too, without
connecting again: when weir answers at their server's address, they find their sessions
and subscriptions there.

Whatever ends an import, the same command goes on: what was gathered stays until it is
verified, channels that are there are verified, and durables that are there stay as they
are. Applications connect to weir again with their client ids and go on where their
durables stood.

Exit status: 0 all is there and verified, 1 not.`

const importStanExample = `  weir import stan /var/lib/nats-streaming --dry-run
  weir import stan /var/lib/nats-streaming
  weir import stan /var/lib/nats-streaming -s nats://new.example:4222 --channel orders --channel billing.eu
  weir import stan --from nats://old.example:4222 --monitor http://old.example:8222 -s nats://new.example:4222`

func newImportStan(a *app) *cobra.Command {
	var f importStanFlags
	cmd := &cobra.Command{
		Use:     "stan [DIR]",
		Short:   "Copy channels and durables from NATS Streaming: its file store, or a running server",
		Long:    importStanLong,
		Example: importStanExample,
		Args:    arguments(0, 1),
	}
	flags := cmd.Flags()
	f.fromFlags.bind(flags)
	f.dirFlags.bind(flags)
	flags.StringVar(&f.fromCluster, "from-cluster", "", "`id` of the old server's cluster, where --monitor does not tell")
	flags.StringVar(&f.monitor, "monitor", "", "`URL` of the old server's monitoring: http://HOST:8222")
	flags.StringVar(&f.cluster, "cluster", "", "`id` of the cluster that weir serves, where it is not the old one's")
	flags.StringVar(&f.encryption, "encryption-key", "", "key that the old server encrypted DIR with (NATS_STREAMING_ENCRYPTION_KEY)")
	flags.BoolVar(&f.clients, "clients", false, "hand over clients that were connected, with their subscriptions (from DIR only)")
	flags.StringArrayVar(&f.channels, "channel", nil, "only the channel of this `name`; may be given again")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := f.choose(cmd, args, f.from, "nats://HOST:4222"); err != nil {
			return err
		}
		if err := f.check(cmd); err != nil {
			return err
		}
		if f.from != "" {
			if f.clients {
				return errors.New("--clients needs the directory of the old server: clients of one that runs are connected to it")
			}
			return a.importStanFrom(cmd.Context(), &f)
		}
		return a.importStanDir(cmd.Context(), &f)
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

// importStanDir copies channels from a directory.
func (a *app) importStanDir(ctx context.Context, f *importStanFlags) error {
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
	old.key = orEnv(f.encryption, a.getenv, "NATS_STREAMING_ENCRYPTION_KEY")
	channels, err := old.chosen(f.channels)
	if err != nil {
		return err
	}
	if f.clients {
		if f.sessions, err = old.clients(); err != nil {
			return err
		}
		for _, c := range f.sessions {
			old.connected[c.ID] = true
		}
	}
	return a.importStan(ctx, f, channels, func(name string) channelSource { return fileChannel{old, name} })
}

// importStan copies channels, one after the other. One that fails does not keep the
// others from being copied.
func (a *app) importStan(ctx context.Context, f *importStanFlags, channels []string, source func(string) channelSource) error {
	start := time.Now()
	var all []*importedChannel
	copies := func(yield func(string, copying) bool) {
		for _, name := range channels {
			m := &importingChannel{flags: f, old: source(name), out: &importedChannel{Channel: name, Stream: streamOfChannel(name)}}
			m.logCopy = logCopy{app: a, src: m.old, name: name, stream: m.out.Stream, told: &m.out.fate, skipDamaged: f.skipDamaged}
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
	q.Members = slices.DeleteFunc(q.Members, func(w wire.AdoptedMember) bool { return m.flags.elsewhere[w.Client] })
	if q.Durable == "" && len(q.Members) == 0 {
		return nil
	}
	what := adoptedName(q)
	got, err := m.handOver(ctx, what, q)
	switch {
	case err != nil:
		return err
	case got.Kept:
		m.out.note("%s was there and stays as it is", what)
	case got.LastSent == min(q.LastSent, m.out.LastSeq) && got.Pending < m.waiting(q):
		m.out.note("%s: %s that it had not acknowledged are removed by weir's limits", what, plural(uint64(m.waiting(q)-got.Pending), "message", "messages"))
	case got.LastSent != min(q.LastSent, m.out.LastSeq) || got.Pending > m.waiting(q):
		return fmt.Errorf("%s is at %d with %d waiting, instead of %d and %d", what, got.LastSent, got.Pending, q.LastSent, m.waiting(q))
	}
	return nil
}

// handOver gives a subscription or a session, what, to weir.
func (m *importingChannel) handOver(ctx context.Context, what string, q *wire.Adoption) (got wire.Adopted, err error) {
	b, err := json.Marshal(q)
	if err != nil {
		return got, fmt.Errorf("encode %s: %w", what, err)
	}
	ctx, cancel := context.WithTimeout(ctx, max(m.timeout, snapshotPatience))
	defer cancel()
	answer, err := m.dst.nc.RequestWithContext(ctx, wire.AdoptSubject(m.flags.cluster), b)
	if err != nil {
		return got, fmt.Errorf("hand %s over: does weir serve streaming clients of the cluster %s? %w", what, m.flags.cluster, err)
	}
	if err := json.Unmarshal(answer.Data, &got); err != nil {
		return got, fmt.Errorf("read the answer about %s: %w", what, err)
	}
	if got.Error != "" {
		return got, fmt.Errorf("%s: %s", what, got.Error)
	}
	return got, nil
}

// adoptSessions hands clients over, before the first of the subscriptions.
func (m *importingChannel) adoptSessions(ctx context.Context) error {
	for _, c := range m.flags.sessions {
		got, err := m.handOver(ctx, "client "+c.ID, &wire.Adoption{Session: c})
		if err != nil {
			return err
		}
		if got.Another {
			if m.flags.elsewhere == nil {
				m.flags.elsewhere = map[string]bool{}
			}
			m.flags.elsewhere[c.ID] = true
			m.out.note("client %s has connected to weir: what it was subscribed to without a durable name is left out", c.ID)
		}
	}
	m.flags.sessions = nil
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

// adoptedName says what a subscription is.
func adoptedName(q *wire.Adoption) string {
	switch {
	case q.Durable != "":
		return "durable " + durableName(q)
	case q.Queue != "":
		return "queue group " + q.Queue
	}
	return "a subscription of client " + q.Client
}

func durableName(q *wire.Adoption) string {
	if q.Queue != "" {
		return q.Durable + " of the queue group " + q.Queue
	}
	return q.Durable + " of client " + q.Client
}
