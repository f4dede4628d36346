package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"
)

const requestLong = `Publishes a request and prints the replies: one, or up to --count of them until
--timeout ends. "-" reads the request from standard input.

The exit status is 1 when nobody listens on SUBJECT, or no reply came in time.

` + templateHelp

func newRequest(a *app) *cobra.Command {
	var f draftFlags
	var replies uint64
	var raw bool
	cmd := &cobra.Command{
		Use:     "request SUBJECT [BODY|-]",
		Aliases: []string{"req"},
		GroupID: groupMessages,
		Short:   "Ask, and print the replies",
		Long:    requestLong,
		Example: "  weir request time.now\n  weir request who.is.there --count 10 --timeout 2s\n  weir request api.orders - --raw < order.json",
		Args:    arguments(1, 2),
	}
	f.bindHeaders(cmd)
	cmd.Flags().Uint64Var(&replies, "count", 1, "wait for this many replies")
	cmd.Flags().BoolVar(&raw, "raw", false, "print data only, a line each")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		body := ""
		if len(args) == 2 {
			body = args[1]
		}
		m, err := a.requestMessage(cmd, args[0], body, f)
		if err != nil {
			return err
		}
		if replies == 0 {
			return usagef(cmd, "--count is at least 1")
		}
		return a.request(cmd.Context(), m, replies, raw)
	}
	return cmd
}

// requestMessage makes the one message of a request.
func (a *app) requestMessage(cmd *cobra.Command, subject, body string, f draftFlags) (*nats.Msg, error) {
	facts := &facts{Count: 1}
	raw := body == "-"
	if raw {
		whole, err := readAll(a.in)
		if err != nil {
			return nil, err
		}
		facts.Body = whole
	}
	d, err := newDraft(subject, body, f)
	if err != nil {
		return nil, usagef(cmd, "%v", err)
	}
	return d.message(facts, raw)
}

// request sends m and prints up to n replies.
func (a *app) request(ctx context.Context, m *nats.Msg, n uint64, raw bool) error {
	nc, err := a.connect()
	if err != nil {
		return err
	}
	defer nc.Close()
	m.Reply = nc.NewInbox()
	sub, err := nc.SubscribeSync(m.Reply)
	if err != nil {
		return fmt.Errorf("listen for replies: %w", err)
	}
	start := time.Now()
	if err := nc.PublishMsg(m); err != nil {
		return fmt.Errorf("send request: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	p := a.newPrinter(raw, false)
	for got := uint64(0); got < n; got++ {
		reply, err := sub.NextMsgWithContext(ctx)
		if last := nc.LastError(); err != nil && last != nil {
			err = last
		}
		if err == nil && noResponders(reply) {
			err = nats.ErrNoResponders
		}
		if got > 0 && errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("%s of %d came within %s", plural(got, "reply", "replies"), n, humanDuration(a.timeout))
		} else if err != nil {
			return fmt.Errorf("request on %s: %w", m.Subject, err)
		}
		r := fromCore(reply)
		r.N = got + 1
		a.note("Reply %d after %s", r.N, humanDuration(time.Since(start)))
		if err := errors.Join(p.print(r), p.flush()); err != nil {
			return err
		}
	}
	return nil
}

// noResponders recognizes the status by which a server says that nobody listens.
func noResponders(m *nats.Msg) bool {
	return len(m.Data) == 0 && m.Header.Get("Status") == "503"
}
