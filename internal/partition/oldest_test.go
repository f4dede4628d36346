package partition

import (
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"github.com/weirmq/weir/internal/record"
)

// kept is what a model of a log has of one record.
type kept struct {
	seq, size uint64
	subject   string
	ttl       int64
}

// oldestModel is a log whose limits and purges take the oldest.
type oldestModel struct {
	r    *rig
	rand *rand.Rand
	last uint64
	live []kept
	gone []uint64
}

func (m *oldestModel) publish(n int) {
	var list []msg
	for range n {
		one := msg{subject: fmt.Sprintf("s%d", m.rand.Intn(3)), data: strings.Repeat("x", m.rand.Intn(50))}
		if m.rand.Intn(8) == 0 {
			one.ttl = int64(1+m.rand.Intn(5)) * 1e9
		}
		list = append(list, one)
		m.last++
		m.live = append(m.live, kept{m.last, record.Size(len(one.subject), 0, len(one.data)), one.subject, one.ttl})
	}
	m.r.publish(1, list...)
}

// limit sets a limit, and takes it back: what went does not come again.
func (m *oldestModel) limit(l Limits) {
	for _, l := range []Limits{l, {}} {
		if err := m.r.p.ProposeLimits(l, nil, nil); err != nil {
			m.r.t.Fatal(err)
		}
	}
	for len(m.live) > 0 && (l.MaxRecords > 0 && len(m.live) > int(l.MaxRecords) || l.MaxBytes > 0 && m.bytes() > uint64(l.MaxBytes)) {
		m.dropFirst()
	}
}

// purge removes what is below a sequence.
func (m *oldestModel) purge(below uint64) {
	if _, err := m.r.p.Trim(below, nil); err != nil {
		m.r.t.Fatal(err)
	}
	for len(m.live) > 0 && m.live[0].seq < below {
		m.dropFirst()
	}
}

func (m *oldestModel) dropFirst() {
	m.gone = append(m.gone, m.live[0].seq)
	m.live = m.live[1:]
}

// remove takes some records out, wherever they are.
func (m *oldestModel) remove() {
	var out Removal
	m.live = slices.DeleteFunc(m.live, func(k kept) bool {
		if m.rand.Intn(5) > 0 {
			return false
		}
		out.Set.Add(k.seq)
		m.gone = append(m.gone, k.seq)
		return true
	})
	if err := m.r.p.ProposeRemoval(&out, nil); err != nil {
		m.r.t.Fatal(err)
	}
}

func (m *oldestModel) bytes() (n uint64) {
	for _, k := range m.live {
		n += k.size
	}
	return n
}

func (m *oldestModel) check(what string) {
	m.r.t.Helper()
	counts, next := map[string]uint64{}, int64(0)
	for _, k := range m.live {
		counts[k.subject]++
		if tick, ok := tickOf(&record.View{Time: 1, TTL: k.ttl}); ok && (next == 0 || nanos(tick) < next) {
			next = nanos(tick)
		}
	}
	st := m.r.p.Status()
	if st.Records != uint64(len(m.live)) || st.Bytes != m.bytes() || m.r.budget.used != m.bytes() || st.Last != m.last || st.Subjects != len(counts) {
		m.r.t.Fatalf("%s: status %+v, reserved %d; want %d records, %d bytes, %d subjects", what, st, m.r.budget.used, len(m.live), m.bytes(), len(counts))
	}
	for _, c := range m.r.p.Subjects("") {
		if c.Count != counts[c.Subject] {
			m.r.t.Fatalf("%s: %d records of %s, want %d", what, c.Count, c.Subject, counts[c.Subject])
		}
	}
	var seen []uint64
	for rd := m.r.p.Reader(0); ; {
		v, err := rd.Next()
		if err != nil {
			break
		}
		seen = append(seen, v.Seq)
	}
	if !slices.EqualFunc(seen, m.live, func(seq uint64, k kept) bool { return seq == k.seq }) {
		m.r.t.Fatalf("%s: %d records are read, want %d", what, len(seen), len(m.live))
	}
	if got := m.r.p.NextExpiry(); got != next {
		m.r.t.Fatalf("%s: the next expiry is at %d, want %d", what, got, next)
	}
	for i, n := range m.r.numbers {
		if n != uint64(i+1) {
			m.r.t.Fatalf("%s: removal %d has number %d", what, i+1, n)
		}
	}
	slices.Sort(m.gone)
	told := slices.Sorted(slices.Values(m.r.gone))
	if !slices.Equal(told, m.gone) || m.r.p.Removals() != uint64(len(m.gone)) {
		m.r.t.Fatalf("%s: told of %d removals, counted %d, want %d", what, len(told), m.r.p.Removals(), len(m.gone))
	}
}

func TestOldestRecordsGoAsAModelSays(t *testing.T) {
	for seed := range int64(40) {
		r := newRig(t, Limits{})
		r.instant, r.quiet = true, true
		r.p.WatchRemovals(true)
		m := &oldestModel{r: r, rand: rand.New(rand.NewSource(seed))}
		for range 30 {
			what := ""
			switch m.rand.Intn(5) {
			case 0, 1:
				what = "publish"
				m.publish(1 + m.rand.Intn(3*mostLeavers))
			case 2:
				what = "limit by records"
				m.limit(Limits{MaxRecords: int64(1 + m.rand.Intn(2*mostLeavers))})
			case 3:
				if m.bytes() > 0 {
					what = "limit by bytes"
					m.limit(Limits{MaxBytes: 1 + m.rand.Int63n(int64(m.bytes()))})
				}
			case 4:
				if n := len(m.live); n > 1 && m.rand.Intn(2) == 0 {
					what = "purge"
					m.purge(m.live[m.rand.Intn(n-1)].seq + uint64(m.rand.Intn(2)))
				} else if n > 1 {
					what = "remove"
					m.remove()
				}
			}
			m.check(fmt.Sprintf("seed %d: %s", seed, what))
		}
	}
}
