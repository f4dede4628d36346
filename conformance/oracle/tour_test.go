package oracle_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/jsm.go"
	"github.com/nats-io/jsm.go/api"
	"github.com/nats-io/nats.go"
	"github.com/weirmq/weir/conformance/harness"
)

// tour is a way through the management library with both servers: each call is made
// on both, and what it returns, what it asked for and what was answered is compared.
type tour struct {
	*testing.T
	name      string
	weir, ref *end
	manager   both // *jsm.Manager
}

// end is one of a tour's servers.
type end struct {
	*side
	notes []any // what callbacks of the call being made were given
}

// both are the values that the two servers have in the same place. As an argument or
// receiver of a call it stands for that of each.
type both struct{ weir, ref any }

// each makes an argument for one server.
type each func(e *end) any

// note remembers what a callback was given, so that it is compared.
func (e *end) note(v ...any) { e.notes = append(e.notes, v...) }

// newTour starts the servers of a tour.
func newTour(t *testing.T, config string, opts ...jsm.Option) *tour {
	t.Helper()
	to := &tour{
		T: t, name: t.Name()[strings.LastIndexByte(t.Name(), '/')+1:],
		weir: &end{side: newSide(t, "weir", harness.Start(t, config))},
		ref:  &end{side: newSide(t, "nats-server", harness.StartReference(t, config))},
	}
	to.manager = to.newManager(opts...)
	return to
}

// newManager makes managers that log what they ask and check what is answered.
func (t *tour) newManager(opts ...jsm.Option) both {
	t.Helper()
	opts = append([]jsm.Option{jsm.WithTrace(), jsm.WithAPIValidation(schemaValidator{})}, opts...)
	return t.call(jsm.New, each(func(e *end) any { return e.nc }), opts)
}

// as is a connection of its own, with options.
func (t *tour) as(opts ...nats.Option) both {
	t.Helper()
	return both{t.weir.server.Connect(opts...), t.ref.server.Connect(opts...)}
}

// call makes a call that both servers must grant. fn is a function or a method
// expression of jsm.go; of its results it gives the first. A last argument that is a
// slice may stand for variadic ones.
func (t *tour) call(fn any, args ...any) both {
	t.Helper()
	b, refused := t.try(fn, args)
	if refused != nil {
		t.Errorf("%s: nats-server refuses it: %v", opName(fn), refused)
	}
	return b
}

// fails makes a call that both servers must refuse, in the same way.
func (t *tour) fails(fn any, args ...any) {
	t.Helper()
	if _, refused := t.try(fn, args); refused == nil {
		t.Errorf("%s: nats-server grants it", opName(fn))
	}
}

// try makes a call on both servers and compares; the error is nats-server's.
func (t *tour) try(fn any, args []any) (both, error) {
	t.Helper()
	op := opName(fn)
	driven[op] = true
	weir := t.weir.perform(fn, args)
	ref := t.ref.perform(fn, args)
	t.compare(op+describe(args), weir.seen, ref.seen)
	return both{weir.first, ref.first}, ref.err
}

// compare reports what is not the same on both and not explained.
func (t *tour) compare(what string, weir, ref any) {
	t.Helper()
	for _, u := range compare("", hide(weir), hide(ref)) {
		if !managed.explains(t.name, what, u.field) {
			t.Errorf("%s: %s", what, u)
		}
	}
}

// outcome is what a call has given.
type outcome struct {
	first any            // the first result
	err   error          // that the library has returned
	seen  map[string]any // by a user and by the server
}

// perform calls fn on one server.
func (e *end) perform(fn any, args []any) (o outcome) {
	f := reflect.ValueOf(fn)
	in := make([]reflect.Value, 0, len(args))
	for i, a := range args {
		in = append(in, e.argument(f.Type(), i, a))
	}
	e.notes = nil
	var results []reflect.Value
	asked, wrong := e.overhear(func() {
		last := f.Type().NumIn() - 1
		if f.Type().IsVariadic() && len(in) == last+1 && in[last].Type() == f.Type().In(last) {
			results = f.CallSlice(in)
		} else {
			results = f.Call(in)
		}
	})
	o.seen = map[string]any{"asked": asked}
	for i, r := range results {
		if r.Type() == errorType {
			o.err, _ = r.Interface().(error)
			o.seen["error"] = e.showError(o.err)
			continue
		}
		if o.first == nil {
			o.first = r.Interface()
		}
		o.seen[fmt.Sprintf("result%d", i)] = e.show(r)
	}
	if len(e.notes) > 0 {
		o.seen["notes"] = e.show(reflect.ValueOf(e.notes))
	}
	if e.name == "weir" && len(wrong) > 0 {
		o.seen["against the schemas"] = strings.Join(wrong, "\n")
	}
	return o
}

var errorType = reflect.TypeFor[error]()

// argument gives the value of an argument for this server.
func (e *end) argument(fn reflect.Type, i int, a any) reflect.Value {
	switch v := a.(type) {
	case both:
		if a = v.ref; e.name == "weir" {
			a = v.weir
		}
	case each:
		a = v(e)
	}
	if a == nil {
		return reflect.Zero(fn.In(i))
	}
	return reflect.ValueOf(a)
}

// opName is what the table and the list of what is covered call a function.
func opName(fn any) string {
	name := runtime.FuncForPC(reflect.ValueOf(fn).Pointer()).Name()
	name = name[strings.LastIndexByte(name, '/')+1:]
	name = strings.ReplaceAll(name, "jsm%2ego.", "")
	return strings.NewReplacer("(*", "", ")", "").Replace(name)
}

// describe gives the arguments that tell calls apart.
func describe(args []any) string {
	var out strings.Builder
	for _, a := range args {
		switch reflect.ValueOf(a).Kind() {
		case reflect.String, reflect.Int, reflect.Uint64, reflect.Bool, reflect.Int64:
			fmt.Fprintf(&out, " %v", a)
		case reflect.Struct, reflect.Pointer:
			if _, ok := a.(both); ok {
				continue
			}
			if b, err := json.Marshal(a); err == nil {
				fmt.Fprintf(&out, " %s", b)
			}
		}
	}
	return out.String()
}

// exchange is a request that the library has logged, with its answer.
type exchange struct {
	subject, request, answer string
	header                   map[string]any
}

// overhear runs f and gives the requests that it made, by the library's own log, and
// what is wrong with the answers.
func (e *end) overhear(f func()) (asked []any, wrong []string) {
	var heard transcript
	flags := log.Flags()
	log.SetFlags(0)
	log.SetOutput(&heard)
	defer func() {
		log.SetFlags(flags)
		log.SetOutput(io.Discard)
	}()
	f()
	for _, x := range heard.list {
		asked = append(asked, map[string]any{
			"subject": x.subject, "header": x.header,
			"request": e.payload(x.request), "answer": e.payload(x.answer),
		})
		wrong = append(wrong, invalid(&nats.Msg{Data: []byte(x.answer)})...)
		covered.add([]string{x.subject})
	}
	return asked, wrong
}

// transcript reads the library's log: each entry is one Write.
type transcript struct{ list []*exchange }

func (t *transcript) Write(p []byte) (int, error) {
	entry := strings.TrimRight(string(p), "\n")
	var now *exchange
	if len(t.list) > 0 {
		now = t.list[len(t.list)-1]
	}
	header, isHeader := strings.CutPrefix(entry, ">>> Header: ")
	question, isQuestion := strings.CutPrefix(entry, ">>> ")
	answer, isAnswer := strings.CutPrefix(entry, "<<< ")
	switch {
	case isHeader && now != nil:
		k, v, _ := strings.Cut(header, ": ")
		now.header[k] = v
	case isQuestion:
		subject, body, _ := strings.Cut(question, "\n")
		t.list = append(t.list, &exchange{subject: strings.TrimSuffix(subject, ":"), request: body, header: map[string]any{}})
	case now == nil:
	case isAnswer:
		// The pager logs messages in a form of its own; they are its results.
		if body, ok := strings.CutPrefix(answer, now.subject); ok {
			now.answer = strings.TrimPrefix(body, "\n")
		}
	case now.request == "":
		now.request = entry
	}
	return len(p), nil
}

// schemaValidator checks the library's own types with its own schemas.
type schemaValidator struct{}

func (schemaValidator) ValidateStruct(data any, kind string) (bool, []string) {
	b, err := json.Marshal(data)
	if err != nil {
		return false, []string{err.Error()}
	}
	schema, err := schemaOf(kind)
	if err != nil {
		return false, []string{err.Error()}
	}
	if schema == nil {
		return true, nil
	}
	if err := violation(schema, b); err != nil && !schemaIsWrong(kind, err) {
		return false, []string{err.Error()}
	}
	return true, nil
}

// driven are the operations of the library that tours have called.
var driven = map[string]bool{}

// tours are the ways through the library, by name.
var tours = map[string]func(t *tour){}

// TestTheManagementLibrarySeesNoDifference drives jsm.go, on which the command nats
// stands, with both servers.
func TestTheManagementLibrarySeesNoDifference(t *testing.T) {
	log.SetOutput(io.Discard)
	for _, name := range keysOf(tours) {
		t.Run(name, func(t *testing.T) { tours[name](newTour(t, "")) })
	}
	if !t.Failed() && wholeRun() {
		managed.checkAllAreNeeded(t)
		checkTheLibraryIsDriven(t)
	}
}

func keysOf[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// apiError is the error that the API has answered.
func apiError(err error) (any, bool) {
	var value api.ApiError
	var pointer *api.ApiError
	switch {
	case errors.As(err, &value):
		return value, true
	case errors.As(err, &pointer):
		return pointer, true
	}
	return nil, false
}
