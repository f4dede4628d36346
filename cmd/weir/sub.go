package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"
)

type subFlags struct {
	queue            string
	count            uint64
	raw, headersOnly bool
	wait             durationFlag
	stream, consumer string
	from             string
	lastPerSubject   bool
	toEnd, ack       bool
}

const subLong = `Prints the messages of SUBJECT as they come, until it is interrupted. SUBJECT may
hold wildcards: * for one part between dots, > for all that follow.

With --stream it reads from a durable stream instead: from --from on, in order,
then on with new messages; --end stops at the stream's end. SUBJECT then chooses
among the stream's subjects. With --consumer it takes part in a durable
consumer's work: each message goes to one of those that do so, and is
acknowledged once it is printed (--ack=false leaves it to come again).

With --count the exit status is 1 when fewer messages came.`

const subExample = `  weir sub 'orders.>'
  weir sub jobs --queue workers                     share the messages with other members
  weir sub ticks --count 3 --wait 10s --raw
  weir sub --stream ORDERS 'orders.*' --from 1h --end
  weir sub --stream ORDERS --from last-per-subject --end --json
  weir sub --stream ORDERS --consumer billing`

func newSub(a *app) *cobra.Command {
	var f subFlags
	cmd := &cobra.Command{
		Use:     "sub [SUBJECT]",
		Aliases: []string{"subscribe"},
		GroupID: groupMessages,
		Short:   "Print messages as they come, or from a stream",
		Long:    subLong,
		Example: subExample,
		Args:    arguments(0, 1),
	}
	flags := cmd.Flags()
	flags.StringVar(&f.queue, "queue", "", "share the messages with the members of this queue `group`")
	flags.Uint64Var(&f.count, "count", 0, "stop after this many messages")
	flags.BoolVar(&f.raw, "raw", false, "print data only, a line each")
	flags.BoolVar(&f.headersOnly, "headers-only", false, "print no data")
	flags.Var(&f.wait, "wait", "stop when no message came for this long")
	flags.StringVar(&f.stream, "stream", "", "read from this durable stream")
	flags.StringVar(&f.from, "from", "", "where to start in the stream: `POSITION` is "+positionHelp+" (default new)")
	flags.BoolVar(&f.lastPerSubject, "last-per-subject", false, "the same as --from last-per-subject")
	flags.BoolVar(&f.toEnd, "end", false, "stop at the end of the stream")
	flags.StringVar(&f.consumer, "consumer", "", "share the work of this durable consumer of the stream")
	flags.BoolVar(&f.ack, "ack", true, "acknowledge what is printed, with --consumer")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkSubFlags(cmd, args, &f); err != nil {
			return err
		}
		if f.stream != "" {
			return a.subStream(cmd, args, f)
		}
		return a.subCore(cmd.Context(), args[0], f)
	}
	return cmd
}

func checkSubFlags(cmd *cobra.Command, args []string, f *subFlags) error {
	changed := cmd.Flags().Changed
	switch {
	case f.stream == "" && len(args) == 0:
		return usagef(cmd, "SUBJECT is missing")
	case f.stream == "" && (changed("from") || f.lastPerSubject || f.toEnd || f.consumer != ""):
		return usagef(cmd, "--from, --last-per-subject, --end and --consumer need --stream")
	case f.stream != "" && f.queue != "":
		return usagef(cmd, "--queue is for messages as they come; use --consumer to share a stream's")
	case f.consumer != "" && (changed("from") || f.lastPerSubject || len(args) == 1):
		return usagef(cmd, "the consumer has its own start and subjects: leave out SUBJECT, --from and --last-per-subject")
	case f.consumer == "" && changed("ack"):
		return usagef(cmd, "--ack is for --consumer")
	case f.lastPerSubject && changed("from"):
		return usagef(cmd, "--last-per-subject and --from exclude each other")
	}
	if f.lastPerSubject {
		f.from = "last-per-subject"
	}
	return nil
}

// subCore prints messages as they are published.
func (a *app) subCore(ctx context.Context, subject string, f subFlags) error {
	closed := make(chan struct{})
	nc, err := a.connect(nats.ClosedHandler(func(*nats.Conn) { close(closed) }))
	if err != nil {
		return err
	}
	defer nc.Close()
	messages := make(chan *nats.Msg, 64<<10)
	if _, err := nc.ChanQueueSubscribe(subject, f.queue, messages); err != nil {
		return fmt.Errorf("subscribe to %q: %w", subject, err)
	}
	if err := a.flushed(nc); err != nil {
		return err
	}
	a.note("Listening on %s", subject)
	r := a.newReading(f)
	return r.run(ctx, func(ctx context.Context, idle <-chan time.Time) (*received, error) {
		select {
		case m := <-messages:
			return fromCore(m), nil
		default:
		}
		if err := r.printer.flush(); err != nil {
			return nil, err
		}
		select {
		case m := <-messages:
			return fromCore(m), nil
		case <-closed:
			return nil, connectionLost(nc)
		case <-idle:
			return nil, errIdle
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	})
}

func connectionLost(nc *nats.Conn) error {
	if err := nc.LastError(); err != nil {
		return fmt.Errorf("%w: %w", errLost, err)
	}
	return errLost
}

// note tells a person at a terminal what goes on; programs do not see it.
func (a *app) note(format string, args ...any) {
	if a.errTerm && !a.asJSON {
		fmt.Fprintf(a.err, format+"\n", args...)
	}
}

// errIdle ends a reading for which nothing came in time, errEnd one that has all there is.
var (
	errIdle = errors.New("nothing came in time")
	errEnd  = errors.New("end of the stream")
)

// reading prints messages until its count, its end or an interruption.
type reading struct {
	printer *printer
	flags   subFlags
	seen    uint64
}

func (a *app) newReading(f subFlags) *reading {
	return &reading{printer: a.newPrinter(f.raw, f.headersOnly), flags: f}
}

// run calls next until it fails or the count is reached. next flushes the
// printer before it blocks; it ends on ctx and on idle.
func (r *reading) run(ctx context.Context, next func(context.Context, <-chan time.Time) (*received, error)) error {
	wait := time.Duration(r.flags.wait)
	var idle <-chan time.Time
	var timer *time.Timer
	if wait > 0 {
		timer = time.NewTimer(wait)
		defer timer.Stop()
		idle = timer.C
	}
	for r.flags.count == 0 || r.seen < r.flags.count {
		m, err := next(ctx, idle)
		if err != nil {
			return r.end(err)
		}
		r.seen++
		m.N = r.seen
		if err := r.printer.print(m); err != nil {
			return err
		}
		if timer != nil {
			timer.Reset(wait)
		}
	}
	return r.printer.flush()
}

// end turns the reason of the end into an error, where it is one.
func (r *reading) end(reason error) error {
	if err := r.printer.flush(); err != nil {
		return err
	}
	ordinary := errors.Is(reason, errIdle) || errors.Is(reason, errEnd) || errors.Is(reason, context.Canceled)
	switch {
	case !ordinary:
		return reason
	case r.flags.count > r.seen:
		return fmt.Errorf("%s of %s came", thousands(r.seen), plural(r.flags.count, "message", "messages"))
	}
	return nil
}
