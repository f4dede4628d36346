package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"
)

type replyFlags struct {
	draftFlags
	queue, command string
	echo           bool
	count          uint64
}

const replyLong = `Answers requests on SUBJECT until it is interrupted: with BODY, with the request
itself (--echo), or with what a command prints (--command). Several of these
share the requests, as members of one queue group.

The command is run by the shell for each request, one after the other, with the
request's data on standard input and WEIR_SUBJECT and WEIR_REPLY in its
environment. When it fails, the reply has a header Nats-Service-Error.

` + templateHelp + `
{{.Body}} is the request's data and {{.Key}} its subject.`

func newReply(a *app) *cobra.Command {
	var f replyFlags
	cmd := &cobra.Command{
		Use:     "reply SUBJECT [BODY]",
		GroupID: groupMessages,
		Short:   "Answer requests",
		Long:    replyLong,
		Example: "  weir reply time.now '{{.Time}}'\n  weir reply 'echo.>' --echo\n  weir reply host.uptime --command uptime\n  weir reply upper --command 'tr a-z A-Z' --count 10",
		Args:    arguments(1, 2),
	}
	f.bindHeaders(cmd)
	cmd.Flags().StringVar(&f.queue, "queue", "weir-reply", "queue `group` that shares the requests; empty: every one answers")
	cmd.Flags().StringVar(&f.command, "command", "", "answer with what this shell `command` prints")
	cmd.Flags().BoolVar(&f.echo, "echo", false, "answer with the request's data and headers")
	cmd.Flags().Uint64Var(&f.count, "count", 0, "stop after this many requests")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ways := 0
		for _, given := range []bool{len(args) == 2, f.command != "", f.echo} {
			if given {
				ways++
			}
		}
		if ways != 1 {
			return usagef(cmd, "give one of BODY, --command and --echo")
		}
		body := ""
		if len(args) == 2 {
			body = args[1]
		}
		d, err := newDraft("{{.Key}}", body, f.draftFlags)
		if err != nil {
			return usagef(cmd, "%v", err)
		}
		return a.reply(cmd.Context(), args[0], d, f)
	}
	return cmd
}

// reply answers requests one by one.
func (a *app) reply(ctx context.Context, subject string, d *draft, f replyFlags) error {
	closed := make(chan struct{})
	nc, err := a.connect(nats.ClosedHandler(func(*nats.Conn) { close(closed) }))
	if err != nil {
		return err
	}
	defer nc.Close()
	requests := make(chan *nats.Msg, 4096)
	if _, err := nc.ChanQueueSubscribe(subject, f.queue, requests); err != nil {
		return fmt.Errorf("subscribe to %q: %w", subject, err)
	}
	if err := a.flushed(nc); err != nil {
		return err
	}
	a.note("Answering on %s", subject)
	var n uint64
	for f.count == 0 || n < f.count {
		select {
		case <-ctx.Done():
			return nil
		case <-closed:
			return connectionLost(nc)
		case m := <-requests:
			if m.Reply == "" {
				a.note("Ignored a message on %s: it asks for no reply", m.Subject)
				continue
			}
			n++
			if err := a.answer(ctx, nc, m, d, f, n); err != nil {
				return err
			}
		}
	}
	return a.flushed(nc)
}

// answer replies to one request. A command that fails is told to the requester, not to us.
func (a *app) answer(ctx context.Context, nc *nats.Conn, request *nats.Msg, d *draft, f replyFlags, n uint64) error {
	facts := &facts{Count: n, Key: request.Subject, Body: string(request.Data)}
	raw := f.echo || f.command != ""
	var failed error
	if f.command != "" {
		facts.Body, failed = runCommand(ctx, f.command, request)
	}
	reply, err := d.message(facts, raw)
	if err != nil {
		return err
	}
	reply.Subject, reply.Reply = request.Reply, ""
	if f.echo {
		addHeaders(reply, request.Header)
	}
	if failed != nil {
		addHeaders(reply, nats.Header{"Nats-Service-Error": {failed.Error()}, "Nats-Service-Error-Code": {"500"}})
		fmt.Fprintf(a.err, "weir: request %d on %s: %v\n", n, request.Subject, failed)
	}
	if err := errors.Join(nc.PublishMsg(reply), nc.FlushTimeout(a.timeout)); err != nil {
		return fmt.Errorf("send reply: %w", err)
	}
	a.note("Answered request %d on %s", n, request.Subject)
	return nil
}

func addHeaders(m *nats.Msg, more nats.Header) {
	if m.Header == nil {
		m.Header = nats.Header{}
	}
	for k, values := range more {
		m.Header[k] = append(m.Header[k], values...)
	}
}

// runCommand gives what the command prints. The request reaches it through
// standard input and the environment only, never as shell text.
func runCommand(ctx context.Context, command string, request *nats.Msg) (string, error) {
	c := exec.CommandContext(ctx, "sh", "-c", command)
	c.Env = append(os.Environ(), "WEIR_SUBJECT="+request.Subject, "WEIR_REPLY="+request.Reply)
	c.Stdin = bytes.NewReader(request.Data)
	var errText bytes.Buffer
	c.Stderr = &errText
	out, err := c.Output()
	if err != nil {
		text := strings.Join(strings.Fields(errText.String()), " ")
		return string(out), fmt.Errorf("command failed: %w %s", err, text[:min(len(text), 200)])
	}
	return string(out), nil
}
