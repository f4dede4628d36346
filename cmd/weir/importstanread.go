package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/weirmq/weir/internal/record"
	wire "github.com/weirmq/weir/internal/wire/stan"
)

// oldStore is the directory of a NATS Streaming server.
type oldStore struct {
	dir, cluster string
	channels     []string // by name
	key          string   // of what is encrypted; empty: nothing is
	// connected are the clients that are to go on.
	connected map[string]bool
}

// openOldStore looks at a directory.
func openOldStore(dir string) (*oldStore, error) {
	s := &oldStore{dir: dir, connected: map[string]bool{}}
	info := filepath.Join(dir, "server.dat")
	err := eachOld(info, false, func(_ int64, _ byte, payload []byte, bad error) (err error) {
		if bad == nil {
			s.cluster, bad = wire.DecodeServerInfo(payload)
		}
		return bad
	})
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s is not a file store of NATS Streaming: it has no server.dat", dir)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", info, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read the store: %w", err)
	}
	for _, e := range entries {
		if e.IsDir() {
			s.channels = append(s.channels, e.Name())
		}
	}
	return s, nil
}

// chosen are the channels of these names, all where there are none.
func (s *oldStore) chosen(names []string) ([]string, error) {
	for _, name := range names {
		if !slices.Contains(s.channels, name) {
			return nil, fmt.Errorf("%s has no channel %s", s.dir, name)
		}
	}
	if len(names) > 0 {
		return names, nil
	}
	if len(s.channels) == 0 {
		return nil, fmt.Errorf("%s has no channels", s.dir)
	}
	return s.channels, nil
}

// slices are a channel's files of messages in order.
func (s *oldStore) slices(channel string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(escapeGlob(s.dir), escapeGlob(channel), "msgs.*.dat"))
	if err != nil {
		return nil, fmt.Errorf("list messages: %w", err)
	}
	number := map[string]uint64{}
	for _, f := range files {
		n, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimPrefix(filepath.Base(f), "msgs."), ".dat"), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%s has no number in its name", f)
		}
		number[f] = n
	}
	slices.SortFunc(files, func(a, b string) int { return cmp.Compare(number[a], number[b]) })
	return files, nil
}

func escapeGlob(s string) string {
	return strings.NewReplacer(`*`, `\*`, `?`, `\?`, `[`, `\[`, `\`, `\\`).Replace(s)
}

// longestOld bounds a record: messages were never longer.
const longestOld = 256 << 20

// eachOld gives the records of a file with their places. bad says that one is damaged;
// where it cannot be said how long that is, it is the last. What do returns ends it.
func eachOld(file string, typed bool, do func(at int64, kind byte, payload []byte, bad error) error) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it is only read
	in := bufio.NewReaderSize(f, 1<<20)
	var head [wire.StoredHead]byte
	if n, err := io.ReadFull(in, head[:4]); err != nil {
		return do(int64(n), 0, nil, fmt.Errorf("%w: the file ends in its version", wire.ErrStored))
	}
	if err := wire.ParseStoredVersion(head[:4]); err != nil {
		return do(0, 0, nil, err)
	}
	var buf []byte
	for at := int64(4); ; {
		switch _, err := io.ReadFull(in, head[:]); {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, io.ErrUnexpectedEOF):
			return do(at, 0, nil, fmt.Errorf("%w: the file ends in it", wire.ErrStored))
		case err != nil:
			return fmt.Errorf("read %s: %w", file, err)
		}
		kind, size, sum, none := wire.ParseStoredHead(head[:], typed)
		if none {
			return nil
		}
		if size > longestOld {
			return do(at, 0, nil, fmt.Errorf("%w: it says that it has %d bytes", wire.ErrStored, size))
		}
		if uint32(cap(buf)) < size {
			buf = make([]byte, size)
		}
		switch _, err := io.ReadFull(in, buf[:size]); {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return do(at, 0, nil, fmt.Errorf("%w: the file ends in it", wire.ErrStored))
		case err != nil:
			return fmt.Errorf("read %s: %w", file, err)
		}
		if err := do(at, kind, buf[:size], wire.CheckStored(buf[:size], sum)); err != nil {
			return err
		}
		at += wire.StoredHead + int64(size)
	}
}

// messages gives a channel's messages in order, with the sequences that they had. Views
// are valid during the call only. skip is told of damaged records, and leaves them out
// where it returns nil.
func (s *oldStore) messages(channel string, skip func(damage) error, each func(*record.View) error) error {
	files, err := s.slices(channel)
	if err != nil {
		return err
	}
	box, err := newOldCipher(s.key, channel)
	if err != nil {
		return err
	}
	var last record.View
	as := []byte(wire.RecordSubject(channel))
	for _, file := range files {
		err := eachOld(file, false, func(at int64, _ byte, payload []byte, bad error) error {
			var m wire.Msg
			if bad == nil {
				bad = m.Decode(payload)
			}
			if bad == nil && (m.Sequence <= last.Seq || string(m.Subject) != channel) {
				bad = fmt.Errorf("%w: it is message %d of %q, behind %d", wire.ErrStored, m.Sequence, m.Subject, last.Seq)
			}
			if bad == nil {
				m.Data, bad = box.open(m.Data)
			}
			if bad != nil {
				return skip(damage{file, at, bad})
			}
			// Times may go back where the old server was started again; a log's do not.
			v := record.View{Seq: m.Sequence, Time: max(m.Timestamp, last.Time), Subject: as, Reply: m.Reply, Data: m.Data}
			last = record.View{Seq: v.Seq, Time: v.Time}
			return each(&v)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// durables gives what a channel's durables had, and how many subscriptions were none.
func (s *oldStore) durables(channel string, skip func(damage) error) (all []*wire.Adoption, passing int, err error) {
	file := filepath.Join(s.dir, channel, "subs.dat")
	var subs wire.StoredSubs
	err = eachOld(file, true, func(at int64, kind byte, payload []byte, bad error) error {
		if bad == nil {
			bad = subs.Apply(kind, payload)
		}
		if bad != nil {
			return skip(damage{file, at, bad})
		}
		return nil
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, 0, err
	}
	groups := map[string]*wire.Adoption{}
	for _, o := range subs.All() {
		members := s.membersOf(o)
		if !o.IsDurable && len(members) == 0 {
			passing++
			continue
		}
		a := &wire.Adoption{
			Channel: channel, Client: o.Client, Durable: o.Durable, MaxInFlight: o.MaxInFlight, AckWait: o.AckWait,
			LastSent: o.LastSent, Pending: slices.Sorted(maps.Keys(o.Pending)), Members: members,
		}
		if o.Queue == "" {
			all = append(all, a)
			continue
		}
		a.Queue = o.Queue
		if o.IsDurable {
			a.Durable, a.Queue, _ = strings.Cut(o.Queue, ":")
		}
		name := adoptedName(a)
		if g := groups[name]; g != nil { // members are one group
			g.LastSent = max(g.LastSent, a.LastSent)
			g.Pending = append(g.Pending, a.Pending...)
			slices.Sort(g.Pending)
			g.Pending = slices.Compact(g.Pending)
			g.Members = append(g.Members, members...)
			continue
		}
		groups[name] = a
		all = append(all, a)
	}
	return all, passing, nil
}

// membersOf is who goes on with a subscription: nobody, or the client that has it.
func (s *oldStore) membersOf(o *wire.StoredSub) []wire.AdoptedMember {
	if o.IsClosed || !s.connected[o.Client] {
		return nil
	}
	return []wire.AdoptedMember{{Client: o.Client, Inbox: o.Inbox, AckInbox: o.AckInbox, MaxInFlight: o.MaxInFlight, AckWait: o.AckWait}}
}

// clients gives those who were connected.
func (s *oldStore) clients() ([]*wire.AdoptedSession, error) {
	file := filepath.Join(s.dir, "clients.dat")
	var all wire.StoredClients
	err := eachOld(file, true, func(at int64, kind byte, payload []byte, bad error) error {
		if bad == nil {
			bad = all.Apply(kind, payload)
		}
		if bad != nil {
			return fmt.Errorf("%s at %d: %w", file, at, bad)
		}
		return nil
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return all.All(), nil
}

// fileChannel is a channel of an oldStore.
type fileChannel struct {
	*oldStore
	name string
}

func (c fileChannel) plan(_ context.Context, m *importingChannel) error { return m.survey() }

func (c fileChannel) gather(context.Context, *importingChannel) error { return nil }

func (c fileChannel) messages(skip func(damage) error, each func(*record.View) error) error {
	return c.oldStore.messages(c.name, skip, each)
}

func (c fileChannel) durables(skip func(damage) error) ([]*wire.Adoption, int, error) {
	return c.oldStore.durables(c.name, skip)
}

func (c fileChannel) last() uint64 { return 0 }
func (c fileChannel) done() error  { return nil }
func (c fileChannel) close() error { return nil }
func (c fileChannel) text() string { return "NATS Streaming, cluster " + c.cluster }
