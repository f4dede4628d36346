package jetstream

import (
	"fmt"
	"time"
)

// Actions of a request to create a consumer.
const (
	ActionCreateOrUpdate = ""
	ActionCreate         = "create"
	ActionUpdate         = "update"
)

// Action says whether a consumer may, must or must not exist. It reads from
// strings of the list only.
type Action string

// UnmarshalText accepts the known actions only.
func (a *Action) UnmarshalText(b []byte) error {
	for _, known := range [...]Action{ActionCreateOrUpdate, ActionCreate, ActionUpdate} {
		if string(known) == string(b) {
			*a = known
			return nil
		}
	}
	return fmt.Errorf("can not unmarshal %q", b)
}

// ConsumerCreateRequest asks to create a consumer or to change one.
type ConsumerCreateRequest struct {
	Stream   string         `json:"stream_name"`
	Config   ConsumerConfig `json:"config"`
	Action   Action         `json:"action"`
	Pedantic bool           `json:"pedantic,omitempty"`
}

// DecodeConsumerCreate reads the three kinds of requests to create a consumer and
// makes the checks that come before the stream is looked up. A name in the subject
// is in the configuration afterwards; an ephemeral one may still be without a
// name.
func (d Decoder) DecodeConsumerCreate(req Request, body []byte) (*ConsumerCreateRequest, *Error) {
	var r ConsumerCreateRequest
	if err := d.filled(body, &r); err != nil {
		return nil, err
	}
	c := &r.Config
	if r.Stream != req.Stream {
		return nil, Err(CodeStreamMismatch)
	}
	if hasPathSeparator(c.Name) || hasPathSeparator(c.Durable) || hasPathSeparator(req.Consumer) {
		return nil, Err(CodeConsumerNameSeparators)
	}
	if err := c.matchName(req); err != nil {
		return nil, err
	}
	if req.Filter != "" {
		switch {
		case len(c.FilterSubjects) > 0:
			return nil, Err(CodeMultipleFiltersInSubject)
		case c.FilterSubject != req.Filter:
			return nil, Err(CodeCreateFilterMismatch)
		}
	}
	if c.Replicas > 1 {
		return nil, Err(CodeReplicasNotSupported)
	}
	return &r, nil
}

// matchName compares the configuration's names with the one in the subject.
func (c *ConsumerConfig) matchName(req Request) *Error {
	switch req.Kind {
	case KindConsumerCreateLegacy:
		if c.Durable != "" {
			return Err(CodeEphemeralWithDurable)
		}
		return nil
	case KindConsumerCreateDurable:
		if c.Durable == "" {
			return Err(CodeDurableNotSet)
		}
		if c.Durable != req.Consumer {
			return Err(CodeConsumerNameMismatch)
		}
		return nil
	}
	if c.Durable != "" && c.Durable != req.Consumer {
		return Err(CodeConsumerNameMismatch)
	}
	c.Name = req.Consumer
	return nil
}

// Decide says whether the request, whose configuration is checked, may have its
// way over the consumer that has the name now, nil if there is none. What an
// existing consumer keeps is carried into the request's configuration.
func (r *ConsumerCreateRequest) Decide(existing *ConsumerConfig) *Error {
	if existing == nil {
		if r.Action == ActionUpdate {
			return Err(CodeConsumerDoesNotExist)
		}
		return nil
	}
	r.Config.PauseUntil = existing.PauseUntil
	r.Config.Stamp()
	if r.Action == ActionCreate && !existing.Equal(&r.Config) {
		return Err(CodeConsumerAlreadyExists)
	}
	return existing.CheckUpdate(&r.Config)
}

// ConsumerListRequest asks for names or infos of consumers from Offset on.
type ConsumerListRequest struct {
	Offset int `json:"offset"`
}

// PauseRequest asks to pause a consumer until then; the zero time resumes it.
type PauseRequest struct {
	PauseUntil time.Time `json:"pause_until,omitzero"`
}
