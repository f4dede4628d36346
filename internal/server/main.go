package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/weirmq/weir/internal/listen"
)

// Main runs the server with the arguments of its command line, until a signal
// ends it, and returns the exit status: 0 for a clean end, 1 for a failure.
func Main(args []string, stdout, stderr io.Writer) int {
	f, err := ParseFlags(args)
	if err != nil {
		fmt.Fprintln(stderr, "weir:", err)
		return 1
	}
	switch {
	case f.Help:
		fmt.Fprint(stdout, usage())
		return 0
	case f.Version:
		fmt.Fprintf(stdout, "weir: v%s (NATS level %s)\n", Version, NATSVersion)
		return 0
	case f.Signal != "":
		if err := sendSignal(f.Signal); err != nil {
			fmt.Fprintln(stderr, "weir:", err)
			return 1
		}
		return 0
	}
	c, err := f.Load()
	if err != nil {
		fmt.Fprintln(stderr, "weir:", err)
		return 1
	}
	if f.Test {
		for _, w := range c.Warnings {
			fmt.Fprintln(stderr, "weir: warning:", w)
		}
		if c.File == "" {
			fmt.Fprintln(stderr, "weir: flags are valid")
			return 0
		}
		fmt.Fprintf(stderr, "weir: configuration file %s is valid (%s)\n", c.File, c.Digest)
		return 0
	}
	if err := run(f, c, stdout, stderr); err != nil {
		fmt.Fprintln(stderr, "weir:", err)
		return 1
	}
	return 0
}

// process is a running server with what belongs to the process around it.
type process struct {
	flags  *Flags
	config *Config
	rooms  *rooms
	log    *logs
	ln     net.Listener // nil: there is none, see listenNATS
	http   *monitoring
	served chan error

	web       *listen.WebSocket // nil: nobody comes in over WebSocket
	webServed chan error        // the end of serving it
}

// run starts the server, serves until a signal comes, and stops it.
func run(f *Flags, c *Config, stdout, stderr io.Writer) (err error) {
	begun := time.Now()
	lg, err := openLogs(&c.Log, stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lg.close()) }()
	// The signals are caught before anything is open, so that none is lost.
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2)
	defer signal.Stop(signals)

	if c.stores() {
		spareProcessors()
	}
	p := &process{flags: f, config: c, log: lg, served: make(chan error, 1), webServed: make(chan error, 1)}
	for _, w := range c.Warnings {
		lg.Warn("configuration", "warning", w)
	}
	if p.http, err = startMonitoring(c, lg.Logger); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.http.close()) }()
	if err := p.open(); err != nil {
		return err
	}
	p.announce(stdout, time.Since(begun))
	return p.serve(signals)
}

// spareProcessors lets two more goroutines run than there are processors: those
// that wait in the kernel, for the journal's sync and for a segment's write, count
// as running until the runtime notices. Whoever sets GOMAXPROCS decides for himself.
func spareProcessors() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 2)
	}
}

// open builds the rooms and begins to listen.
func (p *process) open() error {
	r, err := build(p.config, p.log.Logger)
	if err != nil {
		return err
	}
	p.rooms = r
	r.start(context.Background())
	if err := r.startStan(context.Background()); err != nil {
		return errors.Join(err, r.close(context.Background()))
	}
	p.http.attach(r)
	if err := p.listenNATS(); err != nil {
		return errors.Join(err, r.close(context.Background()))
	}
	if err := p.advertise(); err != nil {
		return errors.Join(err, p.unlisten(), r.close(context.Background()))
	}
	if err := p.startLiftbridge(); err != nil {
		return errors.Join(err, p.unlisten(), r.close(context.Background()))
	}
	if err := p.openWebSocket(); err != nil {
		return errors.Join(err, p.unlisten(), r.close(context.Background()))
	}
	if p.ln != nil {
		go func() { p.served <- r.nats.Serve(p.ln) }()
	}
	r.joinOthers()
	if err := errors.Join(p.writePid(), p.writePorts()); err != nil {
		return errors.Join(err, r.close(context.Background()))
	}
	p.http.ready()
	return nil
}

// serve handles signals until one ends the server.
func (p *process) serve(signals <-chan os.Signal) error {
	var ended error
	lame, lameDone := context.WithCancel(context.Background())
	defer lameDone()
	left := make(chan error, 1)
	ducking := false
	for {
		select {
		case s := <-signals:
			switch s {
			case syscall.SIGHUP:
				p.reload()
				continue
			case syscall.SIGUSR1:
				p.log.reopen()
				continue
			case syscall.SIGUSR2:
				if !ducking {
					ducking = true
					p.log.Info("lame duck mode", "grace", p.config.LameDuckGrace, "duration", p.config.LameDuckDuration)
					go func() { left <- p.rooms.nats.LameDuck(lame, p.config.LameDuckGrace, p.config.LameDuckDuration) }()
				}
				continue
			case syscall.SIGTERM:
				if ducking {
					continue // it ends when the clients have left
				}
			}
			p.log.Info("stopping", "signal", s.String())
		case err := <-left:
			ended = err
			p.log.Info("stopping", "reason", "all clients have left")
		case err := <-p.served:
			if !ducking {
				ended = err
			} else {
				continue // a lame duck listens no more
			}
		}
		lameDone()
		return errors.Join(ended, p.stop())
	}
}

// stop ends the server: what is in flight is finished first.
func (p *process) stop() error {
	p.http.stopping()
	err := p.rooms.close(context.Background())
	if p.web != nil {
		err = errors.Join(err, <-p.webServed)
	}
	p.removeFiles()
	p.log.Info("stopped")
	return err
}

// announce says where the server is, once it can be reached there.
func (p *process) announce(w io.Writer, took time.Duration) {
	b := &banner{
		Name: p.rooms.name, NATS: p.natsAddr(), HTTP: p.http.addr(), Lift: p.rooms.liftAddr, Pid: os.Getpid(),
		Loopback: !p.config.HostNamed && !p.config.authenticates(), ReadyMS: took.Milliseconds(),
	}
	if p.rooms.stan != nil {
		b.Streaming = p.config.Stan.Door.Cluster
	}
	if js := &p.config.JetStream; p.config.stores() {
		b.DataDir, b.Durability = js.StoreDir, "synced before each acknowledgement"
		if js.SyncInterval > 0 {
			b.Durability = "synced every " + js.SyncInterval.String() + ": a power loss can cost acknowledged messages"
		}
		b.Streams = len(p.rooms.streams.List(""))
	}
	if p.config.Log.Format == "json" {
		p.log.Info("ready", b.attrs()...)
		return
	}
	b.write(w)
	if p.config.File != "" {
		p.log.Info("ready", b.attrs()...)
	}
}

// logs is where the server logs.
type logs struct {
	*slog.Logger
	level *slog.LevelVar
	path  string
	out   *reopened

	noTime, utc atomic.Bool // how a line's time is written
}
