// Decisions of the Go package beside an empty call into C, the library's call by itself, and golang.org/x/time/rate.
//
//	python tests/go/run.py --bench
//
// All contenders run in one process, one after the other, in an order that rotates from repeat to repeat. From each the loop around it is
// taken off. What is printed is JSON: medians in nanoseconds per decision, and ratios that are medians of the ratios within a repeat,
// which other work on the machine disturbs less.

package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"time"

	tollbar "github.com/tollbar/tollbar/go"
	"golang.org/x/time/rate"
)

const batch = 100

// A contender makes so many decisions, and says how many passed: all, or the measurement is of something else.
type contender struct {
	name string
	// less is whose time is taken off: the loop's, without what is measured.
	less string
	run  func(decisions int) (passed int)
}

// A ratio is one contender's time by the sum of others', and what it must not exceed; 0: it is only told.
type ratio struct {
	Name  string  `json:"name"`
	Ratio float64 `json:"ratio"`
	Bar   float64 `json:"bar,omitempty"`
	Kept  bool    `json:"kept"`
	of    string
	by    []string
}

func contenders(keys []string) ([]contender, error) {
	limiter, err := tollbar.New(tollbar.Rate{Limit: 10_000_000, Per: time.Second, Burst: 1_000_000_000})
	if err != nil {
		return nil, err
	}
	raw, err := newDirect()
	if err != nil {
		return nil, err
	}
	hot := keys[0]
	bucket, err := limiter.Bucket(hot)
	if err != nil {
		return nil, err
	}
	each := func(allow func(key string) bool) func(int) int {
		return func(decisions int) int {
			passed := 0
			for decision, at := 0, 0; decision < decisions; decision++ {
				if allow(keys[at]) {
					passed++
				}
				if at++; at == len(keys) {
					at = 0
				}
			}
			return passed
		}
	}
	same := func(allow func() bool) func(int) int {
		return func(decisions int) int {
			passed := 0
			for decision := 0; decision < decisions; decision++ {
				if allow() {
					passed++
				}
			}
			return passed
		}
	}
	answers := make([]bool, batch)
	inMap, inSyncMap := &locked{all: map[string]*rate.Limiter{}}, new(shared)
	one := func(key string) bool { allowed, _ := limiter.TryAcquire(key, 1); return allowed }
	return []contender{
		{"loop", "", same(func() bool { return true })},
		{"loop over keys", "", each(func(string) bool { return true })},
		{"loop in C", "", func(decisions int) int { return raw.bareC(hot, decisions) }},
		{"empty call into C", "loop", emptyCalls},
		{"C call, from C", "loop in C", func(decisions int) int { return raw.fromC(hot, decisions) }},
		{"C call, from Go", "loop", func(decisions int) int { return raw.fromGo(hot, decisions) }},
		{"TryAcquire, one key", "loop", same(func() bool { return one(hot) })},
		{"TryAcquire, 1,000 keys", "loop over keys", each(one)},
		{"Decide, one key", "loop", same(func() bool { told, _ := limiter.Decide(hot, 1); return told.Allowed })},
		{"Bucket.TryAcquire", "loop", same(func() bool { allowed, _ := bucket.TryAcquire(1); return allowed })},
		{"TryAcquireMany, 100 of 1,000 keys", "", func(decisions int) int {
			passed := 0
			for decision, at := 0, 0; decision < decisions; decision += batch {
				more, _ := limiter.TryAcquireMany(keys[at:at+batch], 1, answers)
				passed += more
				at = (at + batch) % len(keys)
			}
			return passed
		}},
		{"x/time/rate, map and mutex, one key", "loop", same(func() bool { return inMap.allow(hot) })},
		{"x/time/rate, map and mutex, 1,000 keys", "loop over keys", each(inMap.allow)},
		{"x/time/rate, sync.Map, one key", "loop", same(func() bool { return inSyncMap.allow(hot) })},
		{"x/time/rate, sync.Map, 1,000 keys", "loop over keys", each(inSyncMap.allow)},
	}, nil
}

func wanted() []ratio {
	return []ratio{
		{Name: "TryAcquire by an empty call and the C call", Bar: 1.15, of: "TryAcquire, one key",
			by: []string{"empty call into C", "C call, from C"}},
		{Name: "C call from Go by an empty call and the C call", of: "C call, from Go",
			by: []string{"empty call into C", "C call, from C"}},
		{Name: "TryAcquireMany by x/time/rate in a sync.Map", Bar: 1, of: "TryAcquireMany, 100 of 1,000 keys",
			by: []string{"x/time/rate, sync.Map, 1,000 keys"}},
		{Name: "TryAcquireMany by x/time/rate in a map", of: "TryAcquireMany, 100 of 1,000 keys",
			by: []string{"x/time/rate, map and mutex, 1,000 keys"}},
		{Name: "TryAcquire by x/time/rate in a sync.Map, one key", of: "TryAcquire, one key",
			by: []string{"x/time/rate, sync.Map, one key"}},
		{Name: "TryAcquire by x/time/rate in a sync.Map, 1,000 keys", of: "TryAcquire, 1,000 keys",
			by: []string{"x/time/rate, sync.Map, 1,000 keys"}},
		{Name: "TryAcquire by x/time/rate in a map, 1,000 keys", of: "TryAcquire, 1,000 keys",
			by: []string{"x/time/rate, map and mutex, 1,000 keys"}},
		{Name: "Bucket.TryAcquire by TryAcquire", of: "Bucket.TryAcquire", by: []string{"TryAcquire, one key"}},
	}
}

func median(of []float64) float64 {
	sorted := slices.Sorted(slices.Values(of))
	middle := len(sorted) / 2
	return (sorted[(len(sorted)-1)/2] + sorted[middle]) / 2
}

// sample times all contenders so often, and takes the loops off.
func sample(all []contender, repeats, decisions int) (map[string][]float64, error) {
	spent := map[string][]float64{}
	for repeat := -1; repeat < repeats; repeat++ { // the first is to warm up
		bare := map[string]float64{}
		for turn := range all {
			one := all[(turn+max(repeat, 0))%len(all)]
			begun := time.Now()
			passed := one.run(decisions)
			nanos := float64(time.Since(begun).Nanoseconds()) / float64(decisions)
			if passed != decisions {
				return nil, fmt.Errorf("%s: %d of %d passed", one.name, passed, decisions)
			}
			bare[one.name] = nanos
		}
		for _, one := range all {
			if repeat >= 0 {
				spent[one.name] = append(spent[one.name], bare[one.name]-bare[one.less])
			}
		}
	}
	return spent, nil
}

func run(quick bool) error {
	keys := make([]string, 1_000)
	for at := range keys {
		keys[at] = "someone" + strconv.Itoa(at) + "@example.org"
	}
	all, err := contenders(keys)
	if err != nil {
		return err
	}
	repeats, decisions := 21, 500_000
	if quick {
		repeats, decisions = 7, 20_000
	}
	spent, err := sample(all, repeats, decisions)
	if err != nil {
		return err
	}
	medians := map[string]float64{}
	for name, each := range spent {
		medians[name] = median(each)
	}
	ratios := wanted()
	for at := range ratios {
		one, each := &ratios[at], make([]float64, repeats)
		for repeat := range each {
			sum := 0.0
			for _, name := range one.by {
				sum += spent[name][repeat]
			}
			each[repeat] = spent[one.of][repeat] / sum
		}
		one.Ratio = median(each)
		one.Kept = one.Bar == 0 || one.Ratio <= one.Bar
	}
	write := json.NewEncoder(os.Stdout)
	write.SetIndent("", " ")
	return write.Encode(map[string]any{
		"go": runtime.Version(), "tollbar": tollbar.Version(), "cores": runtime.NumCPU(),
		"repeats": repeats, "decisions": decisions, "ns_per_decision": medians, "ratios": ratios,
	})
}

func main() {
	quick := flag.Bool("quick", false, "few decisions: whether it runs, and not how fast")
	flag.Parse()
	if err := run(*quick); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
