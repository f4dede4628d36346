package account

import (
	"sync"
	"sync/atomic"
	"testing"
)

func TestTheGlobalAccountIsAlwaysThere(t *testing.T) {
	r := NewRegistry(&Account{Name: "A"}, &Account{Name: System})
	if r.Find(Global) == nil || r.Find("A") == nil || r.Find("B") != nil {
		t.Fatal("the registry does not hold what it was given and the global account")
	}
	var names []string
	for _, a := range r.All() {
		names = append(names, a.Name)
	}
	if len(names) != 3 || names[0] != Global || names[1] != System || names[2] != "A" {
		t.Errorf("accounts are not in the order of their names: %v", names)
	}
}

func TestConnectionsNeverExceedTheLimit(t *testing.T) {
	const most = 7
	a := NewRegistry(&Account{Name: "A", Limits: Limits{MaxConnections: most}}).Find("A")
	var in atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 500 {
				if !a.Enter() {
					continue
				}
				if n := in.Add(1); n > most {
					t.Errorf("%d connections were let in", n)
				}
				in.Add(-1)
				a.Leave()
			}
		})
	}
	wg.Wait()
	if a.Connections() != 0 {
		t.Errorf("%d connections are left over", a.Connections())
	}
	for i := range most {
		if !a.Enter() {
			t.Fatalf("connection %d is refused below the limit", i)
		}
	}
	if a.Enter() || a.Connections() != most {
		t.Errorf("a refused connection is counted: %d", a.Connections())
	}
}

func TestNoLimitLetsEverybodyIn(t *testing.T) {
	for _, most := range []int{0, -1} {
		a := NewRegistry(&Account{Name: "A", Limits: Limits{MaxConnections: most}}).Find("A")
		for range 100 {
			if !a.Enter() {
				t.Fatalf("limit %d refuses a connection", most)
			}
		}
	}
}

func TestAReloadKeepsConnectionsCounted(t *testing.T) {
	r := NewRegistry(&Account{Name: "A"}, &Account{Name: "GONE"})
	before, gone := r.Find("A"), r.Find("GONE")
	if !before.Enter() || !gone.Enter() {
		t.Fatal("a connection is refused without a limit")
	}
	r.Replace(NewRegistry(&Account{Name: "A", Limits: Limits{MaxConnections: 1}}))
	after := r.Find("A")
	if after.Enter() {
		t.Fatal("the connection from before the reload does not count")
	}
	before.Leave()
	if !after.Enter() {
		t.Fatal("a connection that left still counts")
	}
	gone.Leave()
	if r.Find("GONE") != nil || gone.Connections() != 0 {
		t.Fatal("an account that is not configured any more is still there")
	}
}
