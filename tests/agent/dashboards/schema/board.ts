// SPDX-License-Identifier: GPL-2.0-or-later
// The type of our dashboards, put together from @grafana/schema: the dashboard's own, and each panel's options.
// A test writes each dashboard as a literal of this type, so a member that Grafana does not know is an error, too.

import type { Dashboard, FieldConfig, GraphFieldConfig, Panel, RowPanel, VariableModel } from '@grafana/schema';
import type { Options as Heatmap } from '@grafana/schema/dist/esm/raw/composable/heatmap/panelcfg/x/HeatmapPanelCfg_types.gen';
import type { Options as Stat } from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type { Options as Table } from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type { Options as TimeSeries } from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';

// JSON has texts where the schema has members of enumerations.
type Plain<T> = T extends string
  ? `${T}`
  : T extends readonly (infer E)[]
    ? Plain<E>[]
    : T extends object
      ? { [K in keyof T]: Plain<T[K]> }
      : T;

// What an array may leave out in a panel, a dashboard must have.
type Placed = Required<Pick<Panel, 'id' | 'gridPos' | 'title' | 'description' | 'datasource' | 'targets'>>;
type Shown<Kind extends string, Options, Custom> = Omit<Panel, 'type' | 'options' | 'fieldConfig' | keyof Placed> &
  Placed & {
    type: Kind;
    options: Options;
    fieldConfig: { defaults: Omit<FieldConfig, 'custom'> & { custom?: Custom; unit: string }; overrides: [] };
  };
type AnyPanel =
  | Shown<'timeseries', TimeSeries, GraphFieldConfig>
  | Shown<'heatmap', Heatmap, never>
  | Shown<'stat', Stat, never>
  | Shown<'table', Table, never>
  | Required<Pick<RowPanel, 'type' | 'title' | 'collapsed' | 'panels' | 'id' | 'gridPos'>>;

// Of the Prometheus data source, which has its own members here in all classic dashboards.
type Annotation = {
  name: string;
  datasource: { type: string; uid: string };
  enable: boolean;
  iconColor: string;
  expr: string;
  step: string;
  tagKeys: string;
  textFormat: string;
  titleFormat: string;
  useValueForTime: boolean;
};
type Variable = VariableModel & { definition?: string };

export type Board = Plain<
  Omit<Dashboard, 'panels' | 'annotations' | 'templating' | 'uid' | 'title'> & {
    uid: string;
    title: string;
    panels: AnyPanel[];
    annotations: { list: Annotation[] };
    templating: { list: Variable[] };
  }
>;
