package leaf

import (
	"bytes"
	"slices"
	"time"

	"github.com/weirmq/weir/internal/auth"
	"github.com/weirmq/weir/internal/subject"
	wire "github.com/weirmq/weir/internal/wire/leaf"
)

// filter says what may cross a link. It is immutable.
type filter struct {
	rules  *auth.Permissions
	grant  *auth.Grant
	denied []string // patterns that never leave
	bare   bool     // nothing is configured, here or there
}

// What stays on its side: JetStream is asked by its domain from elsewhere, and each
// system's own services answer for it alone.
var (
	stays       = []string{"$JS.API.>", "$KV.>", "$OBJ.>", "$NRG.>", "$JSC.>", "$WEIR.>"}
	staysSystem = "$SYS.>"
)

// newFilter makes what the options and the other side's rules come to.
func (r *Remote) newFilter(info *wire.Info) (*filter, error) {
	f := &filter{}
	none := slices.Clone(stays)
	if r.o.Account != r.door.o.SystemAccount {
		none = append(none, staysSystem)
	}
	publish := auth.Rule{Deny: slices.Concat(none, r.o.DenyExports)}
	subscribe := auth.Rule{Deny: slices.Concat(none, r.o.DenyImports)}
	f.bare = len(r.o.DenyExports)+len(r.o.DenyImports) == 0 && info.Import == nil && info.Export == nil
	if info.Export != nil {
		publish.Allow, publish.Deny = info.Export.Allow, append(publish.Deny, info.Export.Deny...)
	}
	if info.Import != nil {
		subscribe.Allow, subscribe.Deny = info.Import.Allow, append(subscribe.Deny, info.Import.Deny...)
	}
	var err error
	if f.rules, err = auth.Compile(publish, subscribe, nil); err != nil {
		return nil, err
	}
	f.grant, f.denied = f.rules.Grant(time.Now), publish.Deny
	return f, nil
}

// reserved says whether a subject may be one of those that stay, which all begin alike.
func reserved(subject []byte) bool { return len(subject) > 0 && subject[0] == '$' }

// exempt are what the protocol itself uses: rules do not speak of them.
var exempt = [][]byte{[]byte("$LDS."), []byte("$GR."), []byte("_GR_.")}

func isExempt(subject []byte) bool {
	for _, p := range exempt {
		if bytes.HasPrefix(subject, p) {
			return true
		}
	}
	return false
}

// maySend judges a message on its way out.
func (f *filter) maySend(subject []byte) bool {
	if f.bare && !reserved(subject) {
		return true
	}
	allowed, _ := f.grant.MayPublish(subject)
	return allowed || isExempt(subject)
}

// mayAnnounce judges an interest of this side. What it may meet of denied subjects is
// kept back when it comes.
func (f *filter) mayAnnounce(subject, queue string) bool {
	return f.rules.MaySubscribe(subject, queue)
}

// MayPublish implements broker.Permissions: it judges what comes in.
func (f *filter) MayPublish(subject []byte) (allowed, fixed bool) {
	return f.grant.MayReceive(subject) || isExempt(subject), true
}

// mayWant judges an interest of the other side: what never crosses need not be
// subscribed to.
func (f *filter) mayWant(pattern string) bool {
	if isExempt([]byte(pattern)) {
		return true
	}
	return !slices.ContainsFunc(f.denied, func(d string) bool { return subject.Contains(d, pattern) })
}
