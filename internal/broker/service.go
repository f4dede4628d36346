package broker

// Service answers requests. Handle runs on a goroutine of the worker pool and
// may block; the requests of one account may be handled at the same time.
type Service interface {
	Handle(r *Request)
}

// Request is a message for a service. It owns its bytes.
type Request struct {
	Space   *Space
	Subject string
	Reply   string // empty: no answer is wanted
	Header  []byte
	Data    []byte
	Origin  Sink // who published it; nil for internal publishers

	service Service
}

// Respond sends an answer, if one is wanted. It may be called later and by any
// goroutine.
func (r *Request) Respond(header, data []byte) {
	if r.Reply == "" {
		return
	}
	r.Space.Publish(&Message{Subject: []byte(r.Reply), Header: header, Data: data})
}

func (r *Request) size() int {
	return requestWeight + len(r.Subject) + len(r.Reply) + len(r.Header) + len(r.Data)
}

// Serve has h answer the requests on a pattern until stop is called. Requests
// that are queued by then are still answered.
func (s *Space) Serve(pattern string, h Service) (stop func()) {
	sub := &Subscription{Subject: pattern, Kind: KindService, Sink: &serviceSink{space: s, service: h}}
	s.Subscribe(sub)
	return func() { s.Unsubscribe(sub) }
}

// serviceSink copies requests for the worker pool.
type serviceSink struct {
	space   *Space
	service Service
}

// OpenStage implements Sink.
func (s *serviceSink) OpenStage(p *Publisher) Stage { return &serviceStage{sink: s, publisher: p} }

type serviceStage struct {
	sink      *serviceSink
	publisher *Publisher
	requests  []*Request
}

// Add implements Stage.
func (s *serviceStage) Add(_ *Subscription, m *Message) Verdict {
	body := make([]byte, 0, len(m.Header)+len(m.Data))
	body = append(append(body, m.Header...), m.Data...)
	r := &Request{
		Space: s.sink.space, Subject: string(m.Subject), Reply: string(m.Reply),
		Data: body[len(m.Header):], Origin: s.publisher.Origin(), service: s.sink.service,
	}
	if len(m.Header) > 0 {
		r.Header = body[:len(m.Header):len(m.Header)]
	}
	s.requests = append(s.requests, r)
	return Staged
}

// HandOver implements Stage.
func (s *serviceStage) HandOver() {
	s.sink.space.workers.submit(s.sink.space, s.requests)
	clear(s.requests)
	s.requests = s.requests[:0]
}
