package stack

import (
	"context"

	"kindgate/magefiles/internal/check"
	"kindgate/magefiles/internal/cluster"
	"kindgate/magefiles/internal/drawing"
	"kindgate/magefiles/internal/proof"
)

// Graph prints a drawing of what the Gateways serve, in Mermaid or in DOT, with what was found of it: by the cluster where there is one, as status
// does, else by the files.
func (e *examiner) Graph(ctx context.Context, dot bool) error {
	d, by, err := e.draw(ctx)
	if err != nil {
		return e.run.Failed("graph", "", err)
	}
	for i, n := range d.Nodes {
		line := nodeLine{Node: i, What: n.What, Name: n.Name, Verdict: n.Verdict, Found: n.Found, To: []int{}}
		for _, edge := range d.Edges {
			if edge.From == i {
				line.To = append(line.To, edge.To)
			}
		}
		e.ui.Object(line)
	}
	comment, text := "%% ", d.Mermaid()
	if dot {
		comment, text = "// ", d.DOT()
	}
	e.ui.Print(comment+"by "+by, text[:len(text)-1])
	return nil
}

// draw returns a drawing, and by what it is.
func (e *examiner) draw(ctx context.Context) (d *drawing.Drawing, by string, err error) {
	if e.config.Context == "" {
		if observation, err := e.cluster.Observe(ctx); err != nil || observation.State != cluster.Ready {
			return e.drawFiles(), e.filesAlone(observation), e.wrong
		}
	}
	v, err := e.look(ctx)
	if v.context != "" {
		return &v.drawing, "the routes of context " + v.context, err
	}
	if len(v.drawing.Nodes) == 0 {
		if e.wrong != nil {
			return nil, "", e.wrong
		}
		return e.drawFiles(), "the manifests alone, as the cluster does not have the Gateway API", err
	}
	return &v.drawing, "the routes of cluster " + v.name, err
}

// drawFiles draws what the files have, with what check finds of it.
func (e *examiner) drawFiles() *drawing.Drawing {
	faults := map[check.ID]check.Finding{}
	for _, f := range e.faults() {
		if had, ok := faults[f.object]; !ok || f.Fails() && !had.Fails() {
			faults[f.object] = f.Finding
		}
	}
	d := &drawing.Drawing{}
	e.proof.Draw(d, nil, e.proof.Unasked(), func(p proof.Promise) check.Finding { return faults[p.ID] })
	return d
}

// mostDrawn is how many edges GitHub draws.
const mostDrawn = 400

// pageDrawing is the drawing for a page about the run: of what it has proven, or else of the files.
func (s *Stack) pageDrawing() string {
	d := s.drawn
	if d == nil && s.misconfigured == nil && s.wrong == nil && s.config.Context == "" {
		d = s.Examiner.drawFiles()
	}
	if d == nil || len(d.Nodes) == 0 || len(d.Edges) > mostDrawn {
		return ""
	}
	return d.Mermaid()
}
