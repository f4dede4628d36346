package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
)

type nextFlags struct {
	count    int
	wait     durationFlag
	raw      bool
	ack, nak bool
	term     bool
}

func newConsumerNext(a *app) *cobra.Command {
	f := nextFlags{wait: durationFlag(2 * time.Second)}
	cmd := &cobra.Command{
		Use:   "next STREAM NAME",
		Short: "Take messages from a consumer",
		Long: `Asks a consumer for messages, prints them and acknowledges each one after it is
printed; the acknowledgement is confirmed by the server. --ack=false leaves them
to come again, --nak hands them back at once, --term gives them up.

The exit status is 1 when no message came within --wait.`,
		Example: "  weir consumer next ORDERS billing\n  weir consumer next ORDERS billing --count 100 --raw\n  weir consumer next ORDERS billing --nak",
		Args:    arguments(2, 2),
	}
	flags := cmd.Flags()
	flags.IntVar(&f.count, "count", 1, "take up to this many")
	flags.Var(&f.wait, "wait", "wait this long for them")
	flags.BoolVar(&f.raw, "raw", false, "print data only, a line each")
	flags.BoolVar(&f.ack, "ack", true, "acknowledge what is printed")
	flags.BoolVar(&f.nak, "nak", false, "hand back what is printed")
	flags.BoolVar(&f.term, "term", false, "give up what is printed: it never comes again")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if f.nak && f.term || (f.nak || f.term) && cmd.Flags().Changed("ack") {
			return usagef(cmd, "--ack, --nak and --term exclude each other")
		}
		if f.count < 1 {
			return usagef(cmd, "--count is at least 1")
		}
		return a.next(cmd, args[0], args[1], f)
	}
	return cmd
}

func (a *app) next(cmd *cobra.Command, stream, name string, f nextFlags) error {
	nc, js, err := a.connectStreams()
	if err != nil {
		return err
	}
	defer nc.Close()
	ctx, cancel := context.WithTimeout(cmd.Context(), a.timeout)
	defer cancel()
	c, err := js.Consumer(ctx, stream, name)
	if err != nil {
		return fmt.Errorf("consumer %s of stream %s: %w", name, stream, err)
	}
	batch, err := c.Fetch(f.count, jetstream.FetchMaxWait(time.Duration(f.wait)))
	if err != nil {
		return fmt.Errorf("ask consumer %s: %w", name, err)
	}
	p := a.newPrinter(f.raw, false)
	var n uint64
	for m := range batch.Messages() {
		r, err := fromStream(m)
		if err != nil {
			return err
		}
		n++
		r.N = n
		if err := errors.Join(p.print(r), p.flush()); err != nil {
			return err
		}
		if err := a.settle(cmd.Context(), c, m, f); err != nil {
			return fmt.Errorf("acknowledge sequence %d: %w", r.Sequence, err)
		}
	}
	if err := batch.Error(); err != nil && !errors.Is(err, nats.ErrTimeout) {
		return fmt.Errorf("take messages from %s: %w", name, err)
	}
	if err := a.flushed(nc); err != nil {
		return err
	}
	if n == 0 {
		return fmt.Errorf("no message came within %s", humanDuration(time.Duration(f.wait)))
	}
	return nil
}

// settle answers for a message that was printed.
func (a *app) settle(ctx context.Context, c jetstream.Consumer, m jetstream.Msg, f nextFlags) error {
	switch {
	case c.CachedInfo().Config.AckPolicy == jetstream.AckNonePolicy:
		return nil
	case f.nak:
		return m.Nak()
	case f.term:
		return m.Term()
	case f.ack:
		ctx, cancel := context.WithTimeout(ctx, a.timeout)
		defer cancel()
		return m.DoubleAck(ctx)
	}
	return nil
}
