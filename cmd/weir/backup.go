package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"
	"github.com/weirmq/weir/internal/backup"
)

func newBackup(a *app) *cobra.Command {
	return parent(groupStreams, "backup", "Save streams to files, and restore them",
		`A backup is one file with all that a stream is at one moment: its settings, its
messages with sequences, times and headers, and its consumers with what is
delivered and not acknowledged. It is taken while the stream goes on. Every byte of
the file is under a checksum.`,
		`  weir backup stream ORDERS orders.weir
  weir backup verify orders.weir
  weir backup restore orders.weir
  weir backup restore orders.weir --name COPY --subject 'copy.>'`,
		newBackupStream(a), newBackupRestore(a), newBackupVerify(a))
}

// backupFacts says what is in a backup.
type backupFacts struct {
	Stream    string    `json:"stream"`
	Subjects  []string  `json:"subjects,omitempty"`
	Taken     time.Time `json:"taken"`
	Server    string    `json:"server,omitempty"`
	Messages  uint64    `json:"messages"`
	FirstSeq  uint64    `json:"first_seq"`
	LastSeq   uint64    `json:"last_seq"`
	Consumers []string  `json:"consumers,omitempty"`
	Bytes     int64     `json:"bytes"` // of the file
}

// savedStream is what the commands need of the stream's settings in a backup.
type savedStream struct {
	Name     string          `json:"name"`
	Subjects []string        `json:"subjects"`
	Dialect  string          `json:"dialect"`
	Doc      json.RawMessage `json:"doc"`
}

// factsOf reads what the head of a backup says.
func factsOf(h *backup.Head) (*backupFacts, *savedStream, error) {
	s := new(savedStream)
	if err := json.Unmarshal(h.Stream, s); err != nil {
		return nil, nil, fmt.Errorf("the stream's settings in the backup: %w", err)
	}
	return &backupFacts{
		Stream: s.Name, Subjects: s.Subjects, Taken: time.Unix(0, h.Made).UTC(), Server: h.Server,
		Messages: h.Records, FirstSeq: h.First, LastSeq: h.Last,
	}, s, nil
}

// readBackup reads and verifies a backup to its end. told is called now and then with
// how many bytes and messages were read, and with how many messages there are.
func readBackup(r io.Reader, told func(bytes int64, messages, of uint64)) (*backupFacts, error) {
	in, err := backup.NewReader(r)
	if err != nil {
		return nil, err
	}
	facts, _, err := factsOf(in.Head())
	if err != nil {
		return nil, err
	}
	for n := uint64(0); ; {
		item, err := in.Next()
		switch {
		case errors.Is(err, io.EOF):
			facts.Bytes = in.Offset()
			return facts, nil
		case err != nil:
			return nil, err
		case item.Spec == nil:
			n++
		default:
			name, err := consumerName(item.Spec)
			if err != nil {
				return nil, err
			}
			facts.Consumers = append(facts.Consumers, name)
		}
		told(in.Offset(), n, facts.Messages)
	}
}

func consumerName(spec []byte) (string, error) {
	var c struct {
		Config struct {
			Name string `json:"name"`
		} `json:"config"`
	}
	if err := json.Unmarshal(spec, &c); err != nil {
		return "", fmt.Errorf("a consumer's settings in the backup: %w", err)
	}
	return c.Config.Name, nil
}

// showBackup prints what is in a backup, after a line that says what was done.
func (a *app) showBackup(f *backupFacts, format string, args ...any) error {
	if a.asJSON {
		return a.printJSON(f)
	}
	var s sheet
	s.heading(fmt.Sprintf(format, args...))
	s.add("Stream", f.Stream)
	s.add("Subjects", strings.Join(f.Subjects, ", "))
	s.add("Messages", thousands(f.Messages))
	s.add("Sequences", sequences(f))
	s.add("Consumers", strings.Join(f.Consumers, ", "))
	s.add("Taken", when(f.Taken))
	s.add("Server", f.Server)
	s.add("Size", humanBytes(uint64(f.Bytes)))
	return s.print(a.out, a.bold)
}

func sequences(f *backupFacts) string {
	if f.Messages == 0 {
		return "none, the next is " + thousands(f.LastSeq+1)
	}
	return thousands(f.FirstSeq) + " to " + thousands(f.LastSeq)
}

// apiFailure is the error in an answer of the stream API; nil if there is none.
func apiFailure(body []byte) error {
	var r struct {
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(body, &r); err != nil {
		return fmt.Errorf("read the server's answer: %w", err)
	}
	if r.Error == nil {
		return nil
	}
	return r.Error
}
