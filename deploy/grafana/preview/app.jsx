// Draws panels of a dashboard with Grafana's own components (@grafana/ui) from answers of Prometheus.
// Reads window.PREVIEW, which render.py writes: {width, from, to, panels: [{panel, answers}]}.
import { createRoot } from 'react-dom/client';
import {
  applyFieldOverrides, createTheme, dateTime, FieldType, getDisplayProcessor, getFieldDisplayName,
  getFieldDisplayValues, standardEditorsRegistry, standardFieldConfigEditorRegistry,
  standardTransformers, ThemeContext, toDataFrame,
} from '@grafana/data';
import { BarGauge, BigValue, GlobalStyles, PanelChrome, Table, TimeSeries } from '@grafana/ui';
import { lastValueFrom, of } from 'rxjs';

standardFieldConfigEditorRegistry.setInit(() => []);
standardEditorsRegistry.setInit(() => []);

const COLUMNS = 24;
const CELL = 38; // Height of one row of Grafana's grid, with the gap.
const GAP = 8;
const HEADER = 34;
const theme = createTheme({ colors: { mode: 'dark' } });
const asIs = (text) => text;

// One frame a series, as Grafana's own source of Prometheus makes them; or one table of labels.
function framesOf({ target, series }) {
  if (target.format === 'table') {
    const labels = [...new Set(series.flatMap((each) => Object.keys(each.labels)))].sort();
    return [toDataFrame({
      refId: target.refId,
      fields: [
        { name: 'Time', type: FieldType.time, values: series.map((each) => each.points.at(-1)[0] * 1000) },
        ...labels.map((name) => ({ name, type: FieldType.string, values: series.map((each) => each.labels[name]) })),
        { name: 'Value', type: FieldType.number, values: series.map((each) => each.points.at(-1)[1]) },
      ],
    })];
  }
  return series.map((each) => toDataFrame({
    refId: target.refId,
    fields: [
      { name: 'Time', type: FieldType.time, values: each.points.map((point) => point[0] * 1000) },
      {
        name: 'Value', type: FieldType.number, labels: each.labels,
        values: each.points.map((point) => point[1]),
        config: { displayNameFromDS: nameOf(target.legendFormat, each.labels) },
      },
    ],
  }));
}

const nameOf = (legend, labels) => legend.replace(/\{\{(\w+)\}\}/g, (_, label) => labels[label] ?? '') || 'Value';

// Grafana's panels register what an override may set; here every property is simply set.
function configure(frames, { defaults, overrides }) {
  for (const frame of frames) {
    for (const field of frame.fields) {
      if (field.type === FieldType.time) continue;
      field.config = { ...structuredClone(defaults), ...field.config, custom: structuredClone(defaults.custom ?? {}) };
      const name = getFieldDisplayName(field, frame, frames);
      for (const { matcher, properties } of overrides) {
        const [, source] = matcher.options.match(/^\/(.*)\/$/);
        if (!new RegExp(source).test(name)) continue;
        for (const { id, value } of properties) {
          const [head, key] = id.split('.');
          if (key) field.config[head][key] = value;
          else field.config[head] = value;
        }
      }
    }
  }
  return applyFieldOverrides({
    data: frames, fieldConfig: { defaults: {}, overrides: [] }, replaceVariables: asIs, theme, timeZone: 'utc',
  });
}

async function transformed(frames, transformations = []) {
  const known = Object.values(standardTransformers);
  for (const { id, options } of transformations) {
    const step = known.find((each) => each.id === id);
    frames = await lastValueFrom(of(frames).pipe(step.operator({ ...step.defaultOptions, ...options }, { interpolate: asIs })));
  }
  return frames;
}

function Body({ panel, frames, width, height, range }) {
  const { options, type } = panel;
  if (frames.length === 0) {
    return <div style={{ height, display: 'grid', placeItems: 'center', color: theme.colors.text.secondary }}>No data</div>;
  }
  if (type === 'timeseries') {
    return <TimeSeries frames={frames} width={width} height={height} timeRange={range} timeZone="utc" legend={options.legend} options={options} />;
  }
  if (type === 'table') {
    return <Table data={frames[0]} width={width} height={height} columnMinWidth={60} />;
  }
  const isStat = type === 'stat';
  const values = getFieldDisplayValues({
    data: frames, reduceOptions: options.reduceOptions, fieldConfig: { defaults: {}, overrides: [] },
    replaceVariables: asIs, sparkline: options.graphMode === 'area', percentChange: options.showPercentChange, theme, timeZone: 'utc',
  });
  if (isStat) {
    const across = Math.min(values.length, Math.max(1, Math.floor(width / 130)));
    const down = Math.ceil(values.length / across);
    return (
      <div style={{ display: 'grid', gridTemplateColumns: `repeat(${across}, 1fr)`, gap: 4 }}>
        {values.map((each, index) => (
          <BigValue key={index} width={width / across - 4} height={height / down - 4} value={each.display} sparkline={each.sparkline}
            colorMode={options.colorMode} graphMode={options.graphMode} justifyMode={options.justifyMode} textMode={options.textMode} theme={theme} />
        ))}
      </div>
    );
  }
  const top = Math.max(...values.map((each) => each.display.numeric));
  return values.map((each, index) => (
    <BarGauge key={index} width={width} height={height / values.length - 4} theme={theme} value={each.display}
      field={{ min: 0, max: top, ...each.field }} display={each.view?.getFieldDisplayProcessor(each.colIndex) ?? getDisplayProcessor({ theme })}
      orientation={options.orientation} displayMode={options.displayMode} valueDisplayMode={options.valueMode} showUnfilled={options.showUnfilled} />
  ));
}

function Panel({ panel, frames, range, pageWidth }) {
  const { x, y, w, h } = panel.gridPos;
  const width = (pageWidth / COLUMNS) * w - GAP;
  const height = h * CELL - GAP;
  const style = { position: 'absolute', left: (pageWidth / COLUMNS) * x, top: y * CELL, width, height };
  if (panel.type === 'row') {
    return <h3 style={{ ...style, color: theme.colors.text.primary, font: '500 16px Inter, sans-serif', margin: '6px 2px' }}>{panel.title}</h3>;
  }
  return (
    <div style={style} data-panel={panel.title} data-series={frames.length}>
      <PanelChrome title={panel.title} width={width} height={height}>
        {(innerWidth, innerHeight) => <Body panel={panel} frames={frames} width={innerWidth} height={innerHeight} range={range} />}
      </PanelChrome>
    </div>
  );
}

async function draw({ width, from, to, panels }) {
  const range = { from: dateTime(from * 1000), to: dateTime(to * 1000), raw: { from: dateTime(from * 1000), to: dateTime(to * 1000) } };
  const drawn = [];
  for (const { panel, answers } of panels) {
    const found = await transformed(answers.flatMap(framesOf), panel.transformations);
    drawn.push({ panel, frames: panel.type === 'row' ? [] : configure(found, panel.fieldConfig) });
  }
  const bottom = Math.max(...panels.map(({ panel }) => panel.gridPos.y + panel.gridPos.h));
  const root = document.getElementById('root');
  Object.assign(root.style, { position: 'relative', width: `${width}px`, height: `${bottom * CELL}px` });
  Object.assign(document.body.style, { margin: 0, background: theme.colors.background.canvas, fontFamily: theme.typography.fontFamily });
  createRoot(root).render(
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      {drawn.map((each, index) => <Panel key={index} {...each} range={range} pageWidth={width} />)}
    </ThemeContext.Provider>,
  );
  requestAnimationFrame(() => requestAnimationFrame(() => { document.body.dataset.drawn = 'yes'; }));
}

draw(window.PREVIEW).catch((error) => { document.body.dataset.failed = String(error?.stack ?? error); });
