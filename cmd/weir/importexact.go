package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/weirmq/weir/internal/backup"
	"github.com/weirmq/weir/internal/consumer"
)

// waiting is what a consumer's state in a snapshot says beyond what the API tells.
type waiting struct {
	Delivered snapshotPosition `json:"delivered"`
	AckFloor  snapshotPosition `json:"ack_floor"`
	// Pending are the messages that wait for an acknowledgement, by their sequences.
	Pending map[uint64]struct {
		Sequence  uint64 // the consumer's
		Timestamp int64  // of the delivery, Unix ns
	} `json:"pending"`
	// Redelivered is how often messages were delivered again.
	Redelivered map[uint64]uint64 `json:"redelivered"`
}

type snapshotPosition struct {
	Consumer uint64 `json:"consumer_seq"`
	Stream   uint64 `json:"stream_seq"`
}

func (p snapshotPosition) position() consumer.Position {
	return consumer.Position{Consumer: p.Consumer, Stream: p.Stream}
}

// errOtherSnapshot says that a server's snapshots are of a format that does not begin
// with the consumers.
var errOtherSnapshot = errors.New("its snapshots have another format")

// learn asks the source for a snapshot of the stream and reads its beginning, which
// says of each consumer what no other answer does: which messages it waits for, and
// how often they were delivered. NATS servers from 2.15 on give such snapshots.
func (m *importing) learn(ctx context.Context) (map[string]*waiting, error) {
	r := &snapshotReader{nc: m.src.nc, ctx: ctx, patience: m.src.timeout}
	inbox := m.src.nc.NewInbox()
	var err error
	if r.sub, err = m.src.nc.SubscribeSync(inbox); err != nil {
		return nil, fmt.Errorf("listen for the snapshot: %w", err)
	}
	// The server gives the rest up when nobody listens any more.
	defer func() { _ = r.sub.Unsubscribe() }()
	request := map[string]any{"deliver_subject": inbox, "chunk_size": snapshotChunk}
	if err := m.src.ask(ctx, "STREAM.SNAPSHOT."+m.info.Name(), request, new(json.RawMessage)); err != nil {
		return nil, fmt.Errorf("ask for a snapshot: %w", err)
	}
	return readConsumers(backup.Unpacker(r))
}

// archiveMagic begins a snapshot of NATS servers from 2.15 on. Entries follow, each the
// length of its name, a time (signed), a sequence, the lengths of its headers and of
// its data, all as variable-length numbers, and then name, headers and data. Those
// before the first one with a sequence are not messages but documents.
const archiveMagic = "NATSARC1"

// Bounds of what is taken for a document.
const (
	maxDocumentName = 1 << 10
	maxDocument     = 1 << 30
)

// readConsumers reads the documents about consumers at the beginning of a snapshot.
func readConsumers(from io.Reader) (map[string]*waiting, error) {
	in := bufio.NewReader(from)
	magic := make([]byte, len(archiveMagic))
	if _, err := io.ReadFull(in, magic); err != nil || string(magic) != archiveMagic {
		return nil, errors.Join(errOtherSnapshot, err)
	}
	all := map[string]*waiting{}
	for {
		name, body, err := document(in)
		if err != nil {
			return nil, fmt.Errorf("read the snapshot: %w", err)
		}
		if name == "" {
			return all, nil
		}
		of, found := strings.CutPrefix(name, "consumers/")
		if !found {
			continue
		}
		var doc struct {
			State waiting `json:"state"`
		}
		if err := json.Unmarshal(body, &doc); err != nil {
			return nil, fmt.Errorf("read consumer %s in the snapshot: %w", of, err)
		}
		all[of] = &doc.State
	}
}

// document reads an entry; name is empty where the documents are over.
func document(in *bufio.Reader) (name string, body []byte, err error) {
	length, err := binary.ReadUvarint(in)
	if err == nil {
		_, err = binary.ReadVarint(in)
	}
	var rest [3]uint64 // sequence, length of headers, length of data
	for i := range rest {
		if err == nil {
			rest[i], err = binary.ReadUvarint(in)
		}
	}
	switch {
	case err != nil:
		return "", nil, err
	case length == 0 || rest[0] != 0:
		return "", nil, nil
	case length > maxDocumentName || rest[1]+rest[2] > maxDocument || rest[1] > maxDocument:
		return "", nil, fmt.Errorf("a document of %d bytes with a name of %d: %w", rest[1]+rest[2], length, errOtherSnapshot)
	}
	b := make([]byte, length)
	if _, err := io.ReadFull(in, b); err != nil {
		return "", nil, err
	}
	if _, err := in.Discard(int(rest[1])); err != nil {
		return "", nil, err
	}
	body, err = io.ReadAll(io.LimitReader(in, int64(rest[2])))
	if err == nil && uint64(len(body)) != rest[2] {
		err = io.ErrUnexpectedEOF
	}
	return string(b), body, err
}
