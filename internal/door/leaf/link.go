package leaf

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/chunk"
	"github.com/weirmq/weir/internal/outbox"
	wire "github.com/weirmq/weir/internal/wire/leaf"
	"golang.org/x/sync/errgroup"
)

// link is one connection that is up. It is the sink of what the other side wants.
type link struct {
	// Set at construction.
	remote *Remote
	log    *slog.Logger
	id     uint64
	host   string
	info   wire.Info // as it was when this server was let in
	filter *filter
	acks   []byte // begins the subjects of acknowledgements of deliveries from there; nil: as they are
	conn   net.Conn
	out    *outbox.Outbox
	broken chan error // the outbox's failure

	counts counters
	told   throttle

	asked atomic.Int64 // when the last PING was sent, Unix nanoseconds; 0: it is answered
	open  atomic.Int32 // PINGs that are not answered
	rtt   atomic.Int64 // nanoseconds; 0: not known

	announcer announcer

	in     *input // only the reader
	wanted wanted
}

func newLink(r *Remote, host string, in *input, info wire.Info, f *filter) *link {
	l := &link{
		remote: r, log: r.log.With("remote", host), id: r.door.ids.Add(1), host: host, info: info, filter: f,
		conn: in.conn, in: in, broken: make(chan error, 1),
	}
	l.setAcks()
	l.announcer.init(l)
	l.wanted.init(l)
	l.out = outbox.New(outbox.NewSocket(in.conn), outbox.Limits{
		// Messages are dropped at the configured limit; only lines of the protocol go beyond.
		MaxPending: 2*r.door.o.MaxPending + lineRoom, WriteDeadline: r.door.o.WriteDeadline,
	}, func(reason outbox.Reason, err error) {
		l.broken <- fmt.Errorf("write to the other side: %s: %w", reason, errors.Join(err, errWrite))
	})
	r.learn(&info)
	return l
}

// lineRoom is how much of lines of the protocol may wait besides messages.
const lineRoom = 64 << 20

var (
	errWrite = errors.New("connection given up")
	errStale = errors.New("the other side does not answer")
	errLoop  = errors.New("loop: what this server announces comes back to it")
)

// run works until the connection fails or ctx ends.
func (l *link) run(ctx context.Context) error {
	g, failed := errgroup.WithContext(ctx)
	var why error
	g.Go(l.read)
	g.Go(func() error {
		why = l.keep(failed)
		l.out.Close(lastWrite) // what was sent before the end arrives, where anything does
		_ = l.conn.Close()     // reading ends with it, but not because of it
		return why
	})
	err := g.Wait()
	if why != nil {
		return why
	}
	return err
}

// keep announces what is subscribed here and asks whether the other side is there,
// until that fails or ctx ends.
func (l *link) keep(ctx context.Context) error {
	cancel := l.announcer.begin()
	defer cancel()
	timer := time.NewTimer(firstPing)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-l.broken:
			return err
		case <-timer.C:
			if int(l.open.Add(1)) > l.remote.door.o.PingMax {
				return errStale
			}
			l.asked.Store(time.Now().UnixNano())
			l.send(wire.AppendPing(nil))
			timer.Reset(l.remote.door.o.PingInterval)
		}
	}
}

// pong notes the answer to a PING.
func (l *link) pong() {
	l.open.Store(0)
	if at := l.asked.Swap(0); at != 0 {
		l.rtt.Store(max(1, time.Now().UnixNano()-at))
	}
}

// send sends a few bytes of the protocol. It does no I/O.
func (l *link) send(b []byte) {
	c := chunk.Get(len(b))
	c.B = append(c.B, b...)
	l.out.Send(&outbox.Batch{Pieces: []outbox.Piece{{Bytes: c.B, Chunk: c}}, Size: len(b)}, false)
}

// Link implements broker.Link.
func (l *link) Link() {}

var _ broker.Link = (*link)(nil)

// drop counts messages that were not sent.
func (l *link) drop(n uint64, why string) {
	l.counts.dropped.Add(n)
	l.remote.door.totals.dropped.Add(n)
	if l.told.may() {
		l.log.Warn("messages not sent over the leaf node link", "reason", why, "dropped", l.counts.dropped.Load())
	}
}

// refuse counts a message that came and that a stream had no room for.
func (l *link) refuse(subject []byte) {
	l.counts.refused.Add(1)
	l.remote.door.totals.refused.Add(1)
	if l.told.may() {
		l.log.Warn("messages from the leaf node link dropped by a full stream", "subject", string(subject), "dropped", l.counts.refused.Load())
	}
}

// throttle lets one line be logged a second.
type throttle struct{ last atomic.Int64 }

func (t *throttle) may() bool {
	now := time.Now().UnixNano()
	last := t.last.Load()
	return now-last >= int64(time.Second) && t.last.CompareAndSwap(last, now)
}

// describe says how the link is doing.
func (l *link) describe() LinkInfo {
	i := LinkInfo{
		ID: l.id, Name: or(l.info.ServerName, l.info.ServerID), Account: l.remote.o.Account, RemoteAccount: l.info.RemoteAccount,
		RTT: time.Duration(l.rtt.Load()), InMsgs: l.counts.inMsgs.Load(), OutMsgs: l.counts.outMsgs.Load(),
		InBytes: l.counts.inBytes.Load(), OutBytes: l.counts.outBytes.Load(), Subscriptions: l.wanted.subjects(), Secure: encrypted(l.conn),
	}
	if a, ok := l.conn.RemoteAddr().(*net.TCPAddr); ok {
		i.IP, i.Port = a.IP.String(), a.Port
	}
	return i
}

// interest is a subject with the queue group, or none.
type interest struct{ subject, queue string }

// wanted is what the other side is interested in, as subscriptions here. The reader
// changes it; mu is for those who look.
type wanted struct {
	link *link

	mu   sync.Mutex
	subs map[interest]*broker.Subscription // guarded by mu
}

func (w *wanted) init(l *link) { w.link, w.subs = l, map[interest]*broker.Subscription{} }

func (w *wanted) subjects() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]string, 0, len(w.subs))
	for i := range w.subs {
		out = append(out, i.subject)
	}
	slices.Sort(out)
	return out
}
