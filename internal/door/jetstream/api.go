package jetstream

import (
	"context"

	"github.com/weirmq/weir/internal/account"
	"github.com/weirmq/weir/internal/broker"
	wire "github.com/weirmq/weir/internal/wire/jetstream"
)

// call is one request with what its subject says.
type call struct {
	wire.Request
	*accountAPI
	ctx     context.Context
	account *account.Account
	body    []byte
	existed bool   // what was to be created was there already
	after   func() // called once the answer is sent; nil: nothing
}

// handler answers a request with a response of the wire package.
type handler func(c *call) (any, *wire.Error)

// handlers is the table of what is served. What is not in it gets the error that
// wire.Kind.Unserved has for it.
var handlers = map[wire.Kind]handler{
	wire.KindAccountInfo:           accountInfo,
	wire.KindStreamCreate:          streamCreate,
	wire.KindStreamUpdate:          streamUpdate,
	wire.KindStreamNames:           streamNames,
	wire.KindStreamList:            streamList,
	wire.KindStreamInfo:            streamInfo,
	wire.KindStreamDelete:          streamDelete,
	wire.KindStreamPurge:           streamPurge,
	wire.KindMsgDelete:             msgDelete,
	wire.KindMsgGet:                msgGet,
	wire.KindStreamSnapshot:        streamSnapshot,
	wire.KindStreamRestore:         streamRestore,
	wire.KindConsumerCreate:        consumerCreate,
	wire.KindConsumerCreateLegacy:  consumerCreate,
	wire.KindConsumerCreateDurable: consumerCreate,
	wire.KindConsumerNames:         consumerNames,
	wire.KindConsumerList:          consumerList,
	wire.KindConsumerInfo:          consumerInfo,
	wire.KindConsumerDelete:        consumerDelete,
	wire.KindConsumerPause:         consumerPause,
	wire.KindConsumerUnpin:         consumerUnpin,
	wire.KindConsumerReset:         consumerReset,
}

// Handle makes the account's API a broker.Service.
func (a *accountAPI) Handle(r *broker.Request) {
	req, ok := wire.ParseRequest(r.Subject, a.o.Domain)
	if !ok || req.Kind.System() || req.Kind == wire.KindUnknown {
		return
	}
	if acc := a.now(); acc != nil && !acc.JetStream.Enabled {
		if acc.ImportsService(r.Subject) {
			return // the account has its streams of another one, which answers
		}
		if req.Kind != wire.KindAccountInfo {
			// Clients that were bound to what they may not look up go on.
			unreachable(r)
			return
		}
	}
	a.inflight.Add(1)
	defer a.inflight.Add(^uint64(0))
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	c := &call{Request: req, accountAPI: a, ctx: ctx, body: r.Data}
	if req.Kind == wire.KindDirectGet || req.Kind == wire.KindDirectGetLast {
		if wire.RequiredAPILevel(r.Header) != nil {
			r.Respond(wire.AppendStatus(nil, wire.StatusRequiredAPILevel), nil)
			return
		}
		directGet(c, r)
		return
	}
	response, err := a.answer(c, r.Header)
	a.total.Add(1)
	if err != nil {
		a.errors.Add(1)
		body := req.Kind.ErrorBody(err)
		c.audit(r, body)
		r.Respond(nil, body)
		return
	}
	body := wire.Encode(response)
	c.announce(response)
	c.audit(r, body)
	r.Respond(nil, body)
	if c.after != nil {
		c.after()
	}
}

// answer checks what all requests have in common and calls the handler.
func (a *accountAPI) answer(c *call, header []byte) (any, *wire.Error) {
	if err := wire.RequiredAPILevel(header); err != nil {
		return nil, err
	}
	c.account = a.now()
	if c.account == nil || !c.account.JetStream.Enabled {
		return nil, wire.Err(wire.CodeNotEnabledForAccount)
	}
	h := handlers[c.Kind]
	if h == nil {
		return nil, c.Kind.Unserved()
	}
	if c.Kind.Body() == wire.BodyEmpty {
		if err := a.decoder.Empty(c.body); err != nil {
			return nil, err
		}
	}
	if s := c.dir.Find(c.space.Name(), c.Stream); s != nil {
		if err := s.Settle(c.ctx); err != nil {
			c.log.Warn("request answered before all was durable", "account", c.space.Name(), "stream", c.Stream, "error", err)
		}
	}
	return h(c)
}
