package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
)

// draftFlags are the parts of a message that flags give.
type draftFlags struct {
	reply, msgID string
	headers      []string
}

func (f *draftFlags) bindHeaders(cmd *cobra.Command) {
	cmd.Flags().StringArrayVarP(&f.headers, "header", "H", nil, "add a header `KEY:VALUE`; may be repeated")
}

// draft is a message whose parts may be templates.
type draft struct {
	subject, body, reply, msgID text
	headers                     []draftHeader
}

type draftHeader struct {
	key   string
	value text
}

func newDraft(subject, body string, f draftFlags) (*draft, error) {
	d := &draft{}
	for _, part := range []struct {
		name, value string
		to          *text
	}{
		{"subject", subject, &d.subject}, {"body", body, &d.body},
		{"--reply", f.reply, &d.reply}, {"--msg-id", f.msgID, &d.msgID},
	} {
		t, err := parseText(part.name, part.value)
		if err != nil {
			return nil, err
		}
		*part.to = t
	}
	for _, h := range f.headers {
		key, value, found := strings.Cut(h, ":")
		if !found || strings.TrimSpace(key) == "" {
			return nil, fmt.Errorf("header %q is not KEY:VALUE", h)
		}
		t, err := parseText("header", strings.TrimSpace(value))
		if err != nil {
			return nil, err
		}
		d.headers = append(d.headers, draftHeader{strings.TrimSpace(key), t})
	}
	return d, nil
}

// message fills the draft in with f, whose Subject and time it sets. raw true
// takes f.Body as the body instead of the draft's.
func (d *draft) message(f *facts, raw bool) (*nats.Msg, error) {
	f.now, f.Subject = time.Now(), ""
	subject, err := d.subject.render(f)
	if err != nil {
		return nil, err
	}
	if err := checkSubject(subject); err != nil {
		return nil, err
	}
	f.Subject = subject
	if !raw {
		if f.Body, err = d.body.render(f); err != nil {
			return nil, err
		}
	}
	m := &nats.Msg{Subject: subject, Data: []byte(f.Body)}
	if m.Reply, err = d.reply.render(f); err != nil {
		return nil, err
	}
	if len(d.headers) > 0 || d.msgID.plain != "" {
		m.Header = nats.Header{}
	}
	for _, h := range d.headers {
		v, err := h.value.render(f)
		if err != nil {
			return nil, err
		}
		m.Header.Add(h.key, v)
	}
	if d.msgID.plain != "" {
		id, err := d.msgID.render(f)
		if err != nil {
			return nil, err
		}
		m.Header.Set(jetstream.MsgIDHeader, id)
	}
	return m, nil
}

// checkSubject refuses what cannot be published to, before a server closes the connection over it.
func checkSubject(s string) error {
	switch {
	case s == "":
		return fmt.Errorf("the subject is empty")
	case strings.ContainsAny(s, " \t\r\n\f"):
		return fmt.Errorf("subject %q has white space", s)
	}
	for token := range strings.SplitSeq(s, ".") {
		switch token {
		case "":
			return fmt.Errorf("subject %q has an empty part between dots", s)
		case "*", ">":
			return fmt.Errorf("subject %q has a wildcard; those are for subscribing", s)
		}
	}
	return nil
}
