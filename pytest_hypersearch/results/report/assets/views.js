// The views in the order of the page. A view has an id, a title, and
//   wanted(study)                        whether it is there at all, always by default
//   controls(study)                      its choices, each with a node and a way to follow the address
//   draw(study, rows, colours, width)    what plotly draws of the rows that pass the filters, with a
//                                        caption; or { empty } with the reason why there is nothing

const VIEWS = [
  trend,
  history_,
  strategies,
  importance,
  slices,
  parallel,
  contour,
  aggregation,
  curves,
  pareto,
  timeline,
];
