package jetstream

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/weirmq/weir/internal/partition"
	"github.com/weirmq/weir/internal/stream"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
)

// lookupStream finds the request's stream.
func (c *call) lookupStream() (*stream.Stream, *wire.Error) {
	s := c.dir.Find(c.space.Name(), c.Stream)
	if s != nil {
		return s, nil
	}
	for name := range c.dir.BrokenOf(c.space.Name()) {
		if name == c.Stream || strings.HasPrefix(name, c.Stream+":") {
			return nil, wire.ErrWith(wire.CodeStreamOffline, "err", offlineReason)
		}
	}
	return nil, c.notFound(wire.CodeStreamNotFound)
}

// offlineReason is what clients are told of a stream that is there and could not be opened.
const offlineReason = "it could not be opened, the server's log says why"

// offline gives the account's streams that could not be opened, where all are listed: nobody
// knows their subjects.
func (c *call) offline(r *wire.StreamListRequest) []string {
	if r.Subject != "" {
		return nil
	}
	return slices.Sorted(maps.Keys(c.dir.BrokenOf(c.space.Name())))
}

var retentions = [...]stream.Retention{
	wire.RetentionLimits: stream.RetainByLimits, wire.RetentionInterest: stream.RetainByInterest,
	wire.RetentionWorkQueue: stream.RetainWork,
}

// neutral puts a configuration into the log's terms.
func (d *Door) neutral(cfg *wire.StreamConfig) stream.Config {
	doc, err := json.Marshal(cfg)
	if err != nil {
		panic("jetstream: a configuration does not encode: " + err.Error())
	}
	c := stream.Config{
		Name: cfg.Name, Subjects: cfg.Subjects, Memory: cfg.Storage == wire.StorageMemory,
		First: cfg.FirstSeq, MaxConsumers: cfg.MaxConsumers, NoAck: cfg.NoAck,
		Compression: cfg.Compression.String(), Retention: retentions[cfg.Retention], Dialect: DialectName, Doc: doc,
		Limits: partition.Limits{
			MaxRecords: cfg.MaxMsgs, MaxBytes: cfg.MaxBytes, MaxPerSubject: cfg.MaxMsgsPerSubject,
			MaxRecord: int64(cfg.MaxMsgSize), MaxAge: int64(cfg.MaxAge), DedupWindow: int64(cfg.DuplicateWindow),
			DiscardNew: cfg.Discard == wire.DiscardNew, DiscardNewPerSubject: cfg.DiscardNewPerSubject,
			MarkerTTL: int64(cfg.SubjectDeleteMarkerTTL),
			Rollups:   cfg.AllowRollup && !cfg.DenyPurge, Sealed: cfg.Sealed, Totals: cfg.AllowMsgCounter,
		},
		Whole: cfg.AllowAtomicPublish, Fast: cfg.AllowBatchPublish, Async: cfg.PersistMode == wire.PersistAsync,
	}
	c.Kind = cfg.Metadata[wire.MetaStorage]
	setCompaction(&c.Limits, cfg)
	setMember(&c, cfg)
	c.AckLinks, _ = leafAck(cfg.Metadata)
	c.Mapping, c.Republish = mappings(cfg)
	d.setOrigins(&c, cfg)
	return c
}

func (c *call) streamOptions(r *wire.StreamConfigRequest) wire.StreamOptions {
	return wire.StreamOptions{MaxDuplicateWindow: c.o.DuplicateWindow, Pedantic: r.Pedantic, Transform: transformErrors}
}

func streamCreate(c *call) (any, *wire.Error) {
	r, werr := c.decoder.DecodeStreamCreate(c.Stream, c.body)
	if werr != nil {
		return nil, werr
	}
	if werr := r.Check(c.streamOptions(r)); werr != nil {
		return nil, werr
	}
	cfg := &r.StreamConfig
	if werr := c.checkMaxBytes(cfg); werr != nil {
		return nil, werr
	}
	if werr := checkCompaction(cfg); werr != nil {
		return nil, werr
	}
	if werr := c.fitOrigins(cfg, r.Pedantic); werr != nil {
		return nil, werr
	}
	if is, werr := alreadyThere(c, cfg); is != nil || werr != nil {
		return is, werr
	}
	if werr := cfg.CheckPartitions(); werr != nil {
		return nil, werr
	}
	done, full := c.roomForStream(cfg)
	if full != nil {
		// An equal creation may have been under way.
		if is, werr := alreadyThere(c, cfg); is != nil || werr != nil {
			return is, werr
		}
		return nil, full
	}
	defer done()
	if cfg.Partitions() > 1 {
		return familyCreate(c, cfg)
	}
	s, err := c.dir.Create(c.ctx, c.space.Name(), c.neutral(cfg))
	switch {
	case errors.Is(err, stream.ErrExists):
		if s := c.dir.Find(c.space.Name(), cfg.Name); s != nil {
			return existing(c, s, cfg)
		}
		return nil, wire.Err(wire.CodeStreamNameExist)
	case errors.Is(err, stream.ErrOverlap):
		return nil, wire.Err(wire.CodeSubjectOverlap)
	case errors.Is(err, stream.ErrCycle):
		return nil, wire.ErrWith(wire.CodeStreamInvalidConfig, "err", stream.ErrCycle.Error())
	case err != nil:
		return nil, c.failed(wire.CodeStreamCreate, err)
	}
	return &wire.StreamCreateResponse{Response: c.Kind.Head(nil), StreamInfo: c.streamInfo(s, false), DidCreate: true}, nil
}

// alreadyThere answers a creation whose name a stream has, with partitions or
// without; nothing if none has.
func alreadyThere(c *call, cfg *wire.StreamConfig) (any, *wire.Error) {
	if s := c.dir.Find(c.space.Name(), cfg.Name); s != nil {
		return existing(c, s, cfg)
	}
	if f := c.family(cfg.Name); f != nil {
		return existingFamily(c, f, cfg)
	}
	return nil, nil
}

// existing answers a creation whose name is taken: equal configurations are fine.
func existing(c *call, s *stream.Stream, cfg *wire.StreamConfig) (any, *wire.Error) {
	if !cfg.Equal(config(s)) {
		return nil, wire.Err(wire.CodeStreamNameExist)
	}
	c.existed = true
	return &wire.StreamCreateResponse{Response: c.Kind.Head(nil), StreamInfo: c.streamInfo(s, false), DidCreate: true}, nil
}

// roomForStream holds a new stream against the account's limits. It has its place
// among the account's streams until done is called.
func (c *call) roomForStream(cfg *wire.StreamConfig) (done func(), werr *wire.Error) {
	n := 1
	if _, _, member := cfg.Partition(); !member {
		n = cfg.Partitions()
	}
	place, err := c.dir.PromiseStreams(c.ctx, c.space.Name(), n, c.account.JetStream.MaxStreams)
	switch {
	case errors.Is(err, stream.ErrMaxStreams):
		return nil, wire.Err(wire.CodeMaximumStreams)
	case err != nil:
		return nil, c.failed(wire.CodeStreamCreate, err)
	}
	bytes, werr := c.roomForBytes(cfg, n)
	if werr != nil {
		place()
		return nil, werr
	}
	return func() { bytes(); place() }, nil
}

// failed logs an error that is ours and puts it into the protocol's words.
func (c *call) failed(code int, err error) *wire.Error {
	c.log.Error("request failed", "account", c.space.Name(), "request", c.Kind.Name(), "stream", c.Stream, "consumer", c.Consumer, "error", err)
	return wire.ErrWith(code, "err", err.Error())
}

func streamUpdate(c *call) (any, *wire.Error) {
	r, werr := c.decoder.DecodeStreamUpdate(c.body)
	if werr != nil {
		return nil, werr
	}
	if werr := r.Check(c.streamOptions(r)); werr != nil {
		return nil, werr
	}
	if r.Name != c.Stream {
		return nil, wire.Err(wire.CodeStreamMismatch)
	}
	if werr := c.checkMaxBytes(&r.StreamConfig); werr != nil {
		return nil, werr
	}
	if f := c.family(c.Stream); f != nil {
		return familyUpdate(c, f, &r.StreamConfig)
	}
	s, werr := c.lookupStream()
	if werr != nil {
		return nil, werr
	}
	cfg := &r.StreamConfig
	if werr := checkCompaction(cfg); werr != nil {
		return nil, werr
	}
	if werr := c.fitOrigins(cfg, r.Pedantic); werr != nil {
		return nil, werr
	}
	if name, _, member := config(s).Partition(); member {
		return nil, wire.ErrWith(wire.CodeStreamInvalidConfig, "err", "it is a partition of the stream "+name+", which is changed as a whole")
	}
	if werr := config(s).CheckPartitionsUpdate(cfg); werr != nil {
		return nil, werr
	}
	if werr := config(s).CheckUpdate(cfg); werr != nil {
		return nil, werr
	}
	for _, con := range s.Consumers() {
		if werr := cfg.CheckConsumer(consumerConfig(con)); werr != nil {
			return nil, werr
		}
	}
	done, werr := c.roomForBytes(cfg, 1, s)
	if werr != nil {
		return nil, werr
	}
	defer done()
	err := s.Update(c.ctx, c.neutral(cfg))
	switch {
	case errors.Is(err, stream.ErrOverlap):
		return nil, wire.Err(wire.CodeSubjectOverlap)
	case errors.Is(err, stream.ErrCycle):
		return nil, wire.ErrWith(wire.CodeStreamInvalidConfig, "err", stream.ErrCycle.Error())
	case errors.Is(err, stream.ErrLocalConsumers):
		return nil, wire.ErrWith(wire.CodeStreamInvalidConfig, "err", "the retention of a stream can not be changed while it has consumers in memory only")
	case err != nil:
		return nil, c.failed(wire.CodeStreamUpdate, err)
	}
	return &wire.StreamCreateResponse{Response: c.Kind.Head(nil), StreamInfo: c.streamInfo(s, false)}, nil
}

// listed returns the account's streams that a request asks for.
func (c *call) listed() (wire.StreamListRequest, []*stream.Stream, *wire.Error) {
	var r wire.StreamListRequest
	if werr := c.decoder.Optional(c.body, &r); werr != nil {
		return r, nil, werr
	}
	var out []*stream.Stream
	for _, s := range c.dir.List(c.space.Name()) {
		if m := s.Config().Member; r.Subject != "" && m != nil && m.Dealt && m.Index > 0 {
			continue // who asks whose a subject is gets the stream, not its partitions
		}
		if r.Wants(s.Config().Subjects) {
			out = append(out, s)
		}
	}
	return r, out, nil
}

func streamNames(c *call) (any, *wire.Error) {
	r, streams, werr := c.listed()
	if werr != nil {
		return nil, werr
	}
	offline := c.offline(&r)
	from, to, page := wire.Page(len(streams)+len(offline), r.Offset, wire.NamesLimit)
	names := []string{}
	for i := from; i < to; i++ {
		if i >= len(streams) {
			names = append(names, offline[i-len(streams)])
			continue
		}
		s := streams[i]
		name := s.Name()
		if f, _, member := config(s).Partition(); member && r.Subject != "" {
			name = f
		}
		names = append(names, name)
	}
	return &wire.StreamNamesResponse{Response: c.Kind.Head(nil), Paged: page, Streams: names}, nil
}

func streamList(c *call) (any, *wire.Error) {
	r, streams, werr := c.listed()
	if werr != nil {
		return nil, werr
	}
	from, to, page := wire.Page(len(streams), r.Offset, wire.ListLimit)
	infos := []*wire.StreamInfo{}
	for _, s := range streams[from:to] {
		i := c.infoOf(s, r.Subject != "")
		i.Domain = c.o.Domain
		infos = append(infos, i)
	}
	resp := &wire.StreamListResponse{Response: c.Kind.Head(nil), Paged: page, Streams: infos}
	if from > 0 {
		return resp, nil
	}
	resp.Missing = c.offline(&r)
	for _, name := range resp.Missing {
		if resp.Offline == nil {
			resp.Offline = map[string]string{}
		}
		resp.Offline[name] = offlineReason
	}
	return resp, nil
}

// maxDeletedDetails bounds the list of deleted sequences in an answer.
const maxDeletedDetails = 1 << 20

func streamInfo(c *call) (any, *wire.Error) {
	var r wire.StreamInfoRequest
	if werr := c.decoder.Optional(c.body, &r); werr != nil {
		return nil, werr
	}
	if f := c.dir.Family(c.space.Name(), c.Stream); f != nil {
		return familyInfo(c, f, &r)
	}
	s, werr := c.lookupStream()
	if werr != nil {
		return nil, werr
	}
	info := c.streamInfo(s, false)
	info.Domain = c.o.Domain
	info.Cluster = &wire.ClusterInfo{Leader: c.o.ServerName}
	if r.DeletedDetails {
		info.State.Deleted = s.Partition().Deleted(maxDeletedDetails)
	}
	resp := &wire.StreamInfoResponse{Response: c.Kind.Head(nil), StreamInfo: info}
	if r.SubjectsFilter != "" {
		subjects := s.Partition().Subjects(r.SubjectsFilter)
		from, to, page := wire.Page(len(subjects), r.Offset, wire.SubjectsLimit)
		if page.Offset = max(r.Offset, 0); page.Total > 0 {
			resp.Paged = page
		}
		info.State.Subjects = map[string]uint64{}
		for _, sc := range subjects[from:to] {
			info.State.Subjects[sc.Subject] = sc.Count
		}
	}
	return resp, nil
}

func streamDelete(c *call) (any, *wire.Error) {
	if f := c.family(c.Stream); f != nil {
		return familyDelete(c, f)
	}
	if r := c.dir.Remains(c.space.Name(), c.Stream); r != nil {
		return remainsDelete(c, r)
	}
	s, werr := c.lookupStream()
	if werr != nil {
		return nil, werr
	}
	if m := s.Config().Member; m != nil && !c.alone(s.Name(), m) {
		return nil, wire.ErrWith(wire.CodeStreamDelete, "err", partOf(m))
	}
	consumers := consumersOf(s)
	if err := c.dir.Drop(c.ctx, s); err != nil {
		return nil, c.failed(wire.CodeStreamDelete, err)
	}
	c.tellDeleted(consumers)
	return &wire.SuccessResponse{Response: c.Kind.Head(nil), Success: true}, nil
}

// remainsDelete deletes a stream of which some or all could not be opened. Of what could not
// be, nobody knows the consumers, so that nobody is told of them.
func remainsDelete(c *call, r *stream.Remains) (any, *wire.Error) {
	switch {
	case r.Member != nil && !c.alone(r.Name, r.Member):
		return nil, wire.ErrWith(wire.CodeStreamDelete, "err", partOf(r.Member))
	case r.Family != nil && !r.Family.Dealt:
		return nil, wire.ErrWith(wire.CodeStreamDelete, "err", "it has partitions, and is deleted as a whole through the door that made it")
	}
	var open []*stream.Stream
	for _, p := range r.Parts {
		if p.Stream != nil {
			open = append(open, p.Stream)
		}
	}
	consumers := consumersOf(open...)
	err := c.dir.DropRemains(c.ctx, r)
	if err != nil && !errors.Is(err, stream.ErrFilesStay) {
		return nil, c.failed(wire.CodeStreamDelete, err)
	}
	c.tellDeleted(consumers)
	if err != nil {
		c.tellStream(wire.EventStreamDeleted) // as announce does where all went well
		return nil, c.failed(wire.CodeStreamDelete, err)
	}
	return &wire.SuccessResponse{Response: c.Kind.Head(nil), Success: true}, nil
}

// consumersOf names the consumers of streams, each behind its stream.
func consumersOf(streams ...*stream.Stream) [][2]string {
	var out [][2]string
	for _, s := range streams {
		for _, con := range s.Consumers() {
			out = append(out, [2]string{s.Name(), con.Name()})
		}
	}
	return out
}

// tellDeleted tells that consumers went with their streams.
func (c *call) tellDeleted(consumers [][2]string) {
	for _, n := range consumers {
		c.tell(wire.EventConsumerDeleted, n[0], n[1], func() []byte {
			return consumerAction(wire.EventConsumerDeleted, n[0], n[1], c.o.Domain)
		})
	}
}

func streamPurge(c *call) (any, *wire.Error) {
	r, werr := c.decoder.DecodePurge(c.body)
	if werr != nil {
		return nil, werr
	}
	if f := c.family(c.Stream); f != nil {
		return familyPurge(c, f, &r)
	}
	s, werr := c.lookupStream()
	if werr != nil {
		return nil, werr
	}
	switch cfg := config(s); {
	case cfg.Sealed:
		return nil, wire.Err(wire.CodeStreamSealed)
	case cfg.DenyPurge:
		return nil, wire.ErrWith(wire.CodePurgeFailed, "err", "stream purge not permitted")
	}
	n, err := s.Purge(c.ctx, stream.Purge{Subject: r.Filter, Below: r.Seq, Keep: r.Keep})
	if err != nil {
		return nil, c.failed(wire.CodePurgeFailed, err)
	}
	return &wire.StreamPurgeResponse{Response: c.Kind.Head(nil), Success: true, Purged: n}, nil
}
