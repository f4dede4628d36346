package main

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
)

func newStream(a *app) *cobra.Command {
	return parent(groupStreams, "stream", "Make, inspect and change durable streams",
		`A stream keeps every message that is published to its subjects, numbered from 1,
until a limit or a purge removes it.`,
		`  weir stream add ORDERS 'orders.>' --max-age 30d
  weir stream ls
  weir stream report --sort bytes
  weir stream info ORDERS
  weir stream get ORDERS --last orders.new
  weir stream purge ORDERS --subject orders.test --force`,
		newStreamAdd(a), newStreamLs(a), newStreamReport(a), newStreamInfo(a), newStreamGet(a),
		newStreamRm(a), newStreamPurge(a), newStreamEdit(a))
}

// withStreams connects, gives do a context that ends with --timeout, and closes the connection.
func (a *app) withStreams(cmd *cobra.Command, do func(context.Context, jetstream.JetStream) error) error {
	nc, js, err := a.connectStreams()
	if err != nil {
		return err
	}
	defer nc.Close()
	ctx, cancel := context.WithTimeout(cmd.Context(), a.timeout)
	defer cancel()
	return do(ctx, js)
}

// openStream finds a stream and names it in the error.
func openStream(ctx context.Context, js jetstream.JetStream, name string) (jetstream.Stream, error) {
	s, err := js.Stream(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", name, err)
	}
	return s, nil
}
