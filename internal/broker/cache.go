package broker

import (
	"bytes"
	"strings"
	"sync/atomic"

	"github.com/weirmq/weir/internal/routing"
)

// Budget is what the caches of many publishers may hold together.
type Budget struct {
	limit int64
	used  atomic.Int64
}

// NewBudget gives a budget of limit bytes.
func NewBudget(limit int64) *Budget { return &Budget{limit: limit} }

func (b *Budget) take(n int) bool {
	if b == nil || b.used.Add(int64(n)) <= b.limit {
		return true
	}
	b.used.Add(int64(-n))
	return false
}

func (b *Budget) give(n int) {
	if b != nil {
		b.used.Add(int64(-n))
	}
}

// Weights of what an entry keeps in memory, in bytes, beside its strings.
const (
	entryWeight  = 160
	targetWeight = 64
)

// cache holds matches of one generation: by exact subject, by prefix up to the last
// dot where the last token makes no difference, and by the tokens that count where
// what is behind them makes none, however many tokens that is. Subjects of a later
// kind never get into an earlier one.
type cache struct {
	generation uint64
	limit      int
	budget     *Budget

	kept   [kinds]map[string]*entry
	starts [maxStart + 1]int // entries byStart by their number of tokens
	used   int
	misses uint32

	passing entry // of a subject that there is no room for

	recent *entry // the last exact entry found
	family *entry // the last prefix entry found
	begun  *entry // the last start entry found
}

// kind is what an entry is kept by.
type kind uint8

const (
	bySubject kind = iota
	byPrefix
	byStart
	kinds
)

// maxStart is how many tokens a start has at most: a lookup tries each number.
const maxStart = 7

// entry is who gets the messages of a subject.
type entry struct {
	key    string // the subject, its prefix, or its start
	plain  []target
	queues []group
	all    []target // what plain and the groups' members are parts of
	weight int
	kind   kind
	exact  bool // of one subject only, and kept
	judged bool // denied is settled
	denied bool
}

// group is a queue group of an entry.
type group struct {
	name    string
	members []target
	near    int // so many of the members, the first ones, are of this server
}

// target is one subscription of an entry.
type target struct {
	sub  *Subscription
	dest *dest // nil before the first offer
	memo []byte
}

func (c *cache) init(limit int, budget *Budget) {
	c.limit, c.budget = limit, budget
	for k := range c.kept {
		c.kept[k] = make(map[string]*entry)
	}
	c.generation = ^uint64(0)
}

func (c *cache) get(subject []byte) *entry {
	if e := c.recent; e != nil && e.key == string(subject) {
		return e
	}
	last := bytes.LastIndexByte(subject, '.') + 1
	if e := c.family; e != nil && last < len(subject) && e.key == string(subject[:last]) {
		return e
	}
	if e := c.begun; e != nil && begins(subject, e.key) {
		return e
	}
	if len(c.kept[byStart]) > 0 {
		if e := c.started(subject); e != nil {
			return e
		}
	}
	if e := c.kept[bySubject][string(subject)]; e != nil {
		c.recent = e
		return e
	}
	if len(c.kept[byPrefix]) > 0 {
		if prefix, ok := routing.Prefix(subject); ok {
			if e := c.kept[byPrefix][string(prefix)]; e != nil {
				c.family = e
				return e
			}
		}
	}
	return nil
}

// begins says whether a subject has a start and behind it tokens, none of them empty.
func begins(subject []byte, start string) bool {
	if len(subject) <= len(start) || string(subject[:len(start)]) != start {
		return false
	}
	rest := subject[len(start):]
	return rest[0] != '.' && rest[len(rest)-1] != '.' && !bytes.Contains(rest, emptyToken)
}

var emptyToken = []byte("..")

// started looks for the entry of a subject's first tokens.
func (c *cache) started(subject []byte) *entry {
	at := 0
	for n := 0; n <= maxStart; n++ {
		if c.starts[n] > 0 {
			if e := c.kept[byStart][string(subject[:at])]; e != nil && begins(subject, e.key) {
				c.begun = e
				return e
			}
		}
		dot := bytes.IndexByte(subject[at:], '.')
		if dot < 0 {
			break
		}
		at += dot + 1
	}
	return nil
}

// place says under what the entry of a subject is kept, which counted up to a place.
func place(subject []byte, r *routing.Result[*Subscription], upTo int) (key []byte, k kind) {
	if bytes.IndexByte(subject[upTo:], '.') >= 0 && bytes.Count(subject[:upTo], dot) <= maxStart {
		return subject[:upTo], byStart
	}
	if r.LastTokenFree {
		if prefix, ok := routing.Prefix(subject); ok {
			return prefix, byPrefix
		}
	}
	return subject, bySubject
}

var dot = []byte(".")

// add gives the entry of a result for which the subject counted up to a place. Where
// there is room it is kept; otherwise it is the passing one, which the next add uses
// again.
func (c *cache) add(subject []byte, r *routing.Result[*Subscription], upTo int) *entry {
	key, k := place(subject, r, upTo)
	n := len(r.Plain)
	for i := range r.Queues {
		n += len(r.Queues[i].Members)
	}
	exact := k == bySubject
	w := weight(len(key), n, exact)
	if !c.room(w) {
		c.passing.fill(r, n)
		return &c.passing
	}
	e := &entry{key: string(key), kind: k, exact: exact, weight: w}
	e.fill(r, n)
	c.kept[k][e.key] = e
	if k == byStart {
		c.starts[bytes.Count(key, dot)]++
	}
	return e
}

// fill makes targets of a result that has n subscriptions in all, in the room
// that the entry had before.
func (e *entry) fill(r *routing.Result[*Subscription], n int) {
	if cap(e.all) < n {
		e.all = make([]target, 0, n)
	}
	all := appendTargets(e.all[:0], r.Plain)
	e.plain = all[:len(all):len(all)]
	clear(e.queues)
	e.queues = e.queues[:0]
	for i := range r.Queues {
		from := len(all)
		near := 0
		for _, s := range r.Queues[i].Members {
			if !s.Far {
				all = append(all, target{sub: s})
				near++
			}
		}
		if near < len(r.Queues[i].Members) {
			all = appendFar(all, r.Queues[i].Members)
		}
		e.queues = append(e.queues, group{r.Queues[i].Name, all[from:len(all):len(all)], near})
	}
	e.all = all
}

// appendFar appends those that are not of this server.
func appendFar(to []target, subs []*Subscription) []target {
	for _, s := range subs {
		if s.Far {
			to = append(to, target{sub: s})
		}
	}
	return to
}

func appendTargets(to []target, subs []*Subscription) []target {
	for _, s := range subs {
		to = append(to, target{sub: s})
	}
	return to
}

// weight is about what an entry with n targets will hold, with what stages keep
// in its memos.
func weight(key, n int, exact bool) int {
	each := targetWeight
	if exact {
		each += 16 + key
	}
	return entryWeight + key + n*each
}

// room takes w bytes, if there are so many. A full cache keeps what it has, so
// that a cycle of more subjects than fit still meets some of them; every eighth
// miss replaces entries at random, so that it follows when subjects change.
func (c *cache) room(w int) bool {
	if c.used+w > c.limit || !c.budget.take(w) {
		if c.misses++; c.misses%8 != 0 || !c.evict(w) || !c.budget.take(w) {
			return false
		}
	}
	c.used += w
	return true
}

// evict makes room for w bytes where that takes few entries.
func (c *cache) evict(w int) bool {
	freed := 0
	for _, m := range c.kept {
		for key, e := range m {
			if freed >= w {
				break
			}
			delete(m, key)
			c.drop(e)
			freed += e.weight
		}
	}
	return c.used+w <= c.limit
}

func (c *cache) drop(e *entry) {
	c.used -= e.weight
	c.budget.give(e.weight)
	if e.kind == byStart {
		c.starts[strings.Count(e.key, ".")]--
	}
	if c.recent == e {
		c.recent = nil
	}
	if c.family == e {
		c.family = nil
	}
	if c.begun == e {
		c.begun = nil
	}
}

// clearable is the size up to which a map is emptied rather than replaced:
// emptying costs as much as the map was ever large.
const clearable = 256

func (c *cache) clear() {
	c.recent, c.family, c.begun = nil, nil, nil
	c.passing = entry{}
	for k, m := range c.kept {
		if len(m) > clearable {
			c.kept[k] = make(map[string]*entry)
		} else {
			clear(m)
		}
	}
	c.starts = [maxStart + 1]int{}
	c.budget.give(c.used)
	c.used = 0
}
