package monitor

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
)

// params reads a request's parameters. The first one that is wrong is kept.
type params struct {
	values url.Values
	err    error
}

func paramsOf(r *http.Request) *params { return &params{values: r.URL.Query()} }

func (p *params) text(name string) string { return p.values.Get(name) }

func (p *params) wrong(name, value string, what string) {
	if p.err == nil {
		p.err = &problem{http.StatusBadRequest, fmt.Sprintf("error decoding %s: %q is not %s", name, value, what)}
	}
}

// number reads a whole number from 0 up, 0 where it is not given.
func (p *params) number(name string) int {
	v := p.values.Get(name)
	if v == "" {
		return 0
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 0 {
		p.wrong(name, v, "a number")
		return 0
	}
	return n
}

// yes reads what is true or false, false where it is not given.
func (p *params) yes(name string) bool {
	v := p.values.Get(name)
	if v == "" {
		return false
	}
	on, err := strconv.ParseBool(v)
	if err != nil {
		p.wrong(name, v, "true or false")
	}
	return on
}

// detail is how much of the subscriptions is asked for.
type detail uint8

const (
	noSubs detail = iota
	subNames
	subDetails
)

func (p *params) subs() detail {
	switch {
	case p.values.Get("subs") == "detail":
		return subDetails
	case p.yes("subs"):
		return subNames
	}
	return noSubs
}

// defaultLimit is the size of a page.
const defaultLimit = 1024

// page chooses a part of a list.
type page struct{ offset, limit int }

func (p *params) page() page {
	g := page{p.number("offset"), p.number("limit")}
	if g.limit == 0 {
		g.limit = defaultLimit
	}
	return g
}

// of gives the page of a list.
func of[T any](g page, list []T) []T {
	from := min(g.offset, len(list))
	return list[from : from+min(g.limit, len(list)-from)]
}
