package leaf

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/redial"
	wire "github.com/weirmq/weir/internal/wire/leaf"
)

// Remote is one system that this server joins.
type Remote struct {
	// Set at construction.
	door    *Door
	o       RemoteOptions
	log     *slog.Logger
	space   *broker.Space
	servers []server
	loop    string // what is announced so that a loop is found

	mu   sync.Mutex
	up   *link    // guarded by mu; nil: there is no connection
	told []server // guarded by mu: of which the system told
}

func newRemote(d *Door, o RemoteOptions, loop string) (*Remote, error) {
	o.fill()
	r := &Remote{door: d, o: o, loop: loop, log: d.o.Log.With("door", "leaf", "account", o.Account), space: d.o.Space(o.Account)}
	if r.space == nil {
		return nil, fmt.Errorf("there is no account %q", o.Account)
	}
	for _, s := range o.URLs {
		at, err := parseServer(s)
		if err != nil {
			return nil, err
		}
		r.servers = append(r.servers, at)
	}
	if len(r.servers) == 0 {
		return nil, errors.New("no address is given")
	}
	if slices.ContainsFunc(r.servers, func(s server) bool { return s.web != r.servers[0].web }) {
		return nil, errors.New("of the addresses of a system either all are for WebSocket or none is")
	}
	if err := r.identify(new(wire.Connect), &r.servers[0], ""); err != nil {
		return nil, err
	}
	if _, err := r.newFilter(&wire.Info{}); err != nil {
		return nil, err
	}
	return r, nil
}

// link gives the connection; nil: there is none.
func (r *Remote) link() *link {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.up
}

func (r *Remote) set(l *link) {
	r.mu.Lock()
	r.up = l
	r.mu.Unlock()
}

// run keeps a connection up until ctx ends.
func (r *Remote) run(ctx context.Context) error {
	var last string
	for pause := r.door.o.Reconnect; ; {
		l, err := r.connect(ctx)
		if err == nil {
			last, pause = "", r.door.o.Reconnect
			err = r.use(ctx, l)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		// What keeps failing is told once.
		if text := err.Error(); l != nil || text != last {
			r.log.Warn("leaf node link down, connecting again", "error", err)
			if l == nil {
				last = text
			}
		}
		wait := pause/2 + rand.N(pause)
		if d := delayAfter(err); d > 0 {
			wait = d
		}
		if !redial.Rest(ctx, wait) {
			return ctx.Err()
		}
		if l == nil {
			pause = min(2*pause, mostReconnects*r.door.o.Reconnect)
		}
	}
}

// use has a connection do its work until it is lost or ctx ends.
func (r *Remote) use(ctx context.Context, l *link) error {
	r.door.totals.connects.Add(1)
	r.log.Info("leaf node link up", "remote", l.host, "name", l.info.ServerName, "version", l.info.Version, "remote_account", l.info.RemoteAccount)
	if d := r.door.o.Domain; d != "" && l.info.JetStream && l.info.Domain == d {
		r.log.Warn("the other side has the same JetStream domain: one of them needs another, jetstream { domain }", "domain", d)
	}
	r.set(l)
	err := l.run(ctx)
	r.set(nil)
	return err
}

// errTold is what the other side said before it closed the connection.
type errTold struct{ text string }

func (e *errTold) Error() string { return "the other side says: " + e.text }

// delays are how long a system is left alone after what it said.
var delays = []struct {
	text string
	wait time.Duration
}{
	{"loop detected", 30 * time.Second},
	{"same cluster name", 30 * time.Second},
	{"permissions violation", 30 * time.Second},
	{"duplicate remote leafnode", 30 * time.Second},
	{"minimum version", 5 * time.Second},
}

func delayAfter(err error) time.Duration {
	if errors.Is(err, errLoop) {
		return delays[0].wait
	}
	var told *errTold
	if !errors.As(err, &told) {
		return 0
	}
	for _, d := range delays {
		if strings.Contains(strings.ToLower(told.text), d.text) {
			return d.wait
		}
	}
	return 0
}

// connect tries all servers once.
func (r *Remote) connect(ctx context.Context) (*link, error) {
	return redial.First(ctx, r.candidates(), r.dial)
}

// candidates are the servers to try: those that were named, then those that the system
// told of.
func (r *Remote) candidates() []server {
	r.mu.Lock()
	all := [][]server{slices.Clone(r.servers), slices.Clone(r.told)}
	r.mu.Unlock()
	if !r.o.InOrder {
		for _, list := range all {
			rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		}
	}
	return slices.Concat(all...)
}

// learn notes the servers that a server tells of. They are used with the first one's
// user.
func (r *Remote) learn(info *wire.Info) {
	first := r.servers[0]
	hosts := info.LeafURLs
	if first.web {
		hosts = info.WebURLs
	}
	if r.o.OnlyNamed || len(hosts) == 0 {
		return
	}
	var told []server
	for _, host := range hosts {
		known := slices.ContainsFunc(r.servers, func(s server) bool { return s.host == host })
		if _, _, err := net.SplitHostPort(host); err == nil && !known {
			told = append(told, server{host: host, user: first.user, secure: first.secure, web: first.web, path: first.path})
		}
	}
	r.mu.Lock()
	r.told = told
	r.mu.Unlock()
}
