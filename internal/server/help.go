package server

import (
	"sync/atomic"

	"github.com/weirmq/weir/internal/journal"
)

// journalHelp has the polling loops help the journal, once there is one (poller.Helper).
type journalHelp struct {
	journal atomic.Pointer[journal.Journal]
}

func (h *journalHelp) Expect() bool {
	j := h.journal.Load()
	return j != nil && j.Expect()
}

// Due, Help and Leave are only called when there is one.
func (h *journalHelp) Due() bool { return h.journal.Load().Due() }
func (h *journalHelp) Help()     { h.journal.Load().Help() }
func (h *journalHelp) Leave()    { h.journal.Load().Leave() }
