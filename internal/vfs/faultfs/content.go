package faultfs

import "slices"

const (
	pageSize   = 4096
	sectorSize = 512
)

type page [pageSize]byte

// content is a sparse array of bytes. Pages may be shared between contents; a
// page is changed only by the content that owns it.
type content struct {
	pages []*page // nil: zeros
	size  int64
	owned map[int]struct{} // pages that only this content points to
}

// share returns a content with the same bytes; neither owns a page after it.
func (c *content) share() content {
	c.owned = nil
	return content{pages: slices.Clone(c.pages), size: c.size}
}

func (c *content) readAt(p []byte, off int64) int {
	if off >= c.size {
		return 0
	}
	n := int(min(int64(len(p)), c.size-off))
	for done := 0; done < n; {
		at := off + int64(done)
		i, in := int(at/pageSize), int(at%pageSize)
		part := p[done:min(n, done+pageSize-in)]
		if i < len(c.pages) && c.pages[i] != nil {
			copy(part, c.pages[i][in:])
		} else {
			clear(part)
		}
		done += len(part)
	}
	return n
}

func (c *content) writeAt(p []byte, off int64) {
	if len(p) == 0 {
		return
	}
	end := off + int64(len(p))
	c.size = max(c.size, end)
	for len(p) > 0 {
		i, in := int(off/pageSize), int(off%pageSize)
		n := copy(c.own(i)[in:], p)
		p = p[n:]
		off += int64(n)
	}
}

// own gives page i for writing.
func (c *content) own(i int) *page {
	for len(c.pages) <= i {
		c.pages = append(c.pages, nil)
	}
	if _, ok := c.owned[i]; ok {
		return c.pages[i]
	}
	np := new(page)
	if c.pages[i] != nil {
		*np = *c.pages[i]
	}
	c.pages[i] = np
	if c.owned == nil {
		c.owned = make(map[int]struct{})
	}
	c.owned[i] = struct{}{}
	return np
}

func (c *content) truncate(size int64) {
	if size < c.size {
		keep := int((size + pageSize - 1) / pageSize)
		for i := keep; i < len(c.pages); i++ {
			delete(c.owned, i)
		}
		c.pages = c.pages[:min(keep, len(c.pages))]
		if in := int(size % pageSize); in != 0 && keep <= len(c.pages) && c.pages[keep-1] != nil {
			clear(c.own(keep - 1)[in:])
		}
	}
	c.size = size
}
